// Package attestor lets agents attest by what their machines have, instead of a join
// token: a certificate of the admin's PKI, an SSH host certificate, a TPM, or the name
// that DNS knows them by.
package attestor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// A Setting is one of a plugin's plugin_data: the name, and the file that it names.
type Setting struct{ Name, File string }

// A Value is one of a plugin's plugin_data that is no file.
type Value struct{ Name, Text string }

// Agent is how an agent shall attest.
type Agent struct {
	Plugin string
	// Files are those that the service's user can read itself.
	Files  []Setting
	Values []Value
	// Key is a file of root's that systemd hands over.
	Key Setting
	// DropIn has the lines that the unit needs, beside the one for Key.
	DropIn []string
	// TrustDomain and Server, a HOST or HOST:PORT, are for an agent that has never
	// joined; "" leaves each as it is.
	TrustDomain, Server string
	// Bundle is the trust bundle to know the server by; "" leaves it as it is.
	Bundle string
	Start  bool
	// Force gives up the identity that the agent has.
	Force bool
}

// X509POP is a certificate of a PKI with its key.
func X509POP(certificate, key string) Agent {
	return Agent{Plugin: "x509pop", Files: []Setting{{"certificate_path", certificate}}, Key: Setting{"private_key_path", key}}
}

// SSHPOP is an SSH host certificate with its key.
func SSHPOP(certificate, key string) Agent {
	return Agent{Plugin: "sshpop", Files: []Setting{{"host_cert_path", certificate}}, Key: Setting{"host_key_path", key}}
}

// TPM is a DevID certificate with the blobs of its key, which that TPM alone can load.
func TPM(certificate, private, public string) Agent {
	return Agent{
		Plugin: "tpm_devid",
		Files:  []Setting{{"devid_cert_path", certificate}, {"devid_priv_path", private}, {"devid_pub_path", public}},
		// As drop-ins/tpm.conf of the package.
		DropIn: []string{"PrivateDevices=no", "DevicePolicy=closed", "DeviceAllow=/dev/tpmrm0 rw", "SupplementaryGroups=tss"},
	}
}

// trusted is the first port that anybody may listen on.
const trusted = 1024

// HTTPChallenge is the machine's name in DNS, which the server connects to at a port of
// the agent's.
func HTTPChallenge(hostname string, port int) Agent {
	agent := Agent{Plugin: "http_challenge", Values: []Value{{"hostname", hostname}, {"port", strconv.Itoa(port)}}}
	if port < trusted {
		// As drop-ins/http-challenge.conf of the package.
		agent.DropIn = []string{"CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "AmbientCapabilities=CAP_NET_BIND_SERVICE"}
	}
	return agent
}

// credentialsSince is the first systemd that hands over files of root's.
const credentialsSince = 247

// Run configures the agent and, where asked, starts it.
func (a Agent) Run(ctx context.Context, m machine.Machine) error {
	if version := systemd.Version(ctx, m.Systemd); a.Key.File != "" && version > 0 && version < credentialsSince {
		return fmt.Errorf("systemd here is %d, and LoadCredential= needs %d: give the key to the user %s, mode 0400, and write its path into %s by hand", version, credentialsSince, layout.AgentUser, m.AgentConfig())
	}
	plan, err := a.plan(ctx, m)
	if err != nil {
		return err
	}
	file, err := m.AgentConfiguration()
	if err != nil {
		return err
	}
	if a.Force {
		if err := enroll.MayGiveUp(ctx, m, a.Start); err != nil {
			return err
		}
	}
	changed, err := m.Apply(plan)
	if err != nil {
		return err
	}
	if a.Force {
		if err := enroll.GiveUp(ctx, m, file.Value("agent", "data_dir").Text); err != nil {
			return err
		}
	}
	if !changed {
		m.Say("nothing to change: the agent attests by %s", a.Plugin)
	}
	return a.finish(ctx, m, changed)
}

func (a Agent) plan(ctx context.Context, m machine.Machine) (change.Plan, error) {
	if err := errors.Join(there(append(a.Files, a.Key)), a.sound()); err != nil {
		return change.Plan{}, err
	}
	text, err := os.ReadFile(m.AgentConfig())
	if errors.Is(err, fs.ErrNotExist) {
		return change.Plan{}, fmt.Errorf("%s is not there: install the package spire-agent", m.AgentConfig())
	}
	if err != nil {
		return change.Plan{}, err
	}
	edited, err := a.edit(text)
	if err != nil {
		return change.Plan{}, fmt.Errorf("editing %s: %w", m.AgentConfig(), err)
	}
	files := []change.File{{Path: m.AgentConfig(), Content: edited, Mode: 0o644}}
	name := strings.ReplaceAll(strings.TrimSuffix(a.Plugin, "_devid"), "_", "-")
	// One of before may allow more than is needed now.
	_, former := os.Stat(m.DropIn(layout.AgentUnit, name+".conf"))
	if lines := a.lines(); len(lines) > 0 || former == nil {
		head := fmt.Sprintf("# By spire-config agent attestor %s.\n[Service]\n", name)
		files = append(files, change.File{Path: m.DropIn(layout.AgentUnit, name+".conf"), Content: []byte(head + strings.Join(lines, "\n") + "\n"), Mode: 0o644})
	}
	trusted, err := a.bundle(m)
	return change.Plan{Files: append(files, trusted...), Check: m.CheckAgent(ctx)}, err
}

// there says whether the files are, by names that mean the same to the service.
func there(files []Setting) error {
	for _, f := range files {
		if f.File == "" {
			continue
		}
		if !filepath.IsAbs(f.File) {
			return fmt.Errorf("%s: give the whole path, as the service has another folder", f.File)
		}
		if _, err := os.Stat(f.File); err != nil {
			return err
		}
	}
	return nil
}

// sound looks at what is no file.
func (a Agent) sound() error {
	if a.TrustDomain != "" {
		if _, err := spiffeid.TrustDomainFromString(a.TrustDomain); err != nil {
			return fmt.Errorf("trust domain %q: %w", a.TrustDomain, err)
		}
	}
	if a.Server != "" {
		host, number := hostPort(a.Server)
		if err := errors.Join(invitation.Host(host), port(cmp.Or(number, "8081"))); err != nil {
			return err
		}
	}
	for _, value := range a.Values {
		switch value.Name {
		case "hostname":
			if err := name(value.Text); err != nil {
				return err
			}
		case "port":
			if err := port(value.Text); err != nil {
				return err
			}
		}
	}
	return nil
}

// name says whether it is one that DNS may know.
func name(host string) error {
	if host == "localhost" || net.ParseIP(host) != nil {
		return fmt.Errorf("%s is no name by which another machine finds this one", host)
	}
	return invitation.Host(host)
}

func port(text string) error {
	if number, err := strconv.Atoi(text); err != nil || number < 1 || number > 65535 {
		return fmt.Errorf("port %s: want one from 1 to 65535", text)
	}
	return nil
}

const credentials = "${CREDENTIALS_DIRECTORY}/"

// credential is the name by which systemd hands over the key.
func (a Agent) credential() string { return a.Plugin + ".key" }

func (a Agent) lines() []string {
	lines := a.DropIn
	if a.Key.File != "" {
		lines = append(lines, fmt.Sprintf("LoadCredential=%s:%s", a.credential(), a.Key.File))
	}
	return lines
}

// edit makes the agent's one NodeAttestor another, where it stands.
func (a Agent) edit(text []byte) ([]byte, error) {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil, err
	}
	for _, other := range document.Labels("NodeAttestor", "plugins") {
		if other == a.Plugin {
			continue
		}
		if err := document.Remove("plugins", "NodeAttestor", other, "plugin_data"); err != nil {
			return nil, err
		}
		if err := document.Rename(a.Plugin, "plugins", "NodeAttestor", other); err != nil {
			return nil, err
		}
	}
	errs := []error{a.server(document), document.Remove("agent", "join_token"), document.Remove("agent", "join_token_file")}
	settings := a.Files
	if a.Key.File != "" {
		settings = append(settings, Setting{a.Key.Name, credentials + a.credential()})
	}
	for _, value := range a.Values {
		errs = append(errs, document.Set(value.Text, "plugins", "NodeAttestor", a.Plugin, "plugin_data", value.Name))
	}
	for _, setting := range settings {
		errs = append(errs, document.Set(setting.File, "plugins", "NodeAttestor", a.Plugin, "plugin_data", setting.Name))
	}
	return document.Bytes(), errors.Join(errs...)
}

// server says whose agent it is.
func (a Agent) server(document *hcledit.Document) error {
	var errs []error
	if a.TrustDomain != "" {
		errs = append(errs, document.Set(a.TrustDomain, "agent", "trust_domain"))
	}
	if a.Server != "" {
		host, port := hostPort(a.Server)
		errs = append(errs, document.Set(host, "agent", "server_address"))
		if port != "" {
			errs = append(errs, document.Set(port, "agent", "server_port"))
		}
	}
	return errors.Join(errs...)
}

func hostPort(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, ""
	}
	return host, port
}

func (a Agent) bundle(m machine.Machine) ([]change.File, error) {
	if a.Bundle == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.Bundle)
	if err != nil {
		return nil, err
	}
	if _, err := bundle.Parse(text); err != nil {
		return nil, fmt.Errorf("%s is no trust bundle: %w", a.Bundle, err)
	}
	return []change.File{{Path: m.AgentBootstrap(), Content: text, Mode: 0o644}}, nil
}

func (a Agent) finish(ctx context.Context, m machine.Machine, changed bool) error {
	if state, err := m.AgentIdentity(); err == nil && m.Now().Before(state.Expires()) && !m.DryRun {
		m.Note("the agent goes on as %s: it attests by %s when that has ended, or with --force", state.ID(), a.Plugin)
	}
	switch {
	case m.DryRun && a.Start:
		m.Say("would enable and start %s", layout.AgentUnit)
		return nil
	case m.DryRun:
		return nil
	case !a.Start:
		m.Say("next: systemctl daemon-reload && systemctl enable --now spire-agent")
		return nil
	}
	if changed || a.Force || !m.Running(ctx, layout.AgentUnit) {
		if err := m.Start(ctx, layout.AgentUnit); err != nil {
			return enroll.Failed(ctx, m, err)
		}
	}
	state, err := m.AgentIdentity()
	if err != nil {
		return err
	}
	m.Say("%s runs as %s", layout.AgentUnit, state.ID())
	return nil
}
