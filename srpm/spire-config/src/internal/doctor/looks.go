package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"golang.org/x/sys/unix"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
	"github.com/spiffe-experimental/spire-config/internal/check"
	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/probe"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/symptom"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

const (
	inviteAgain = "spire-config invite NAME (on the server), then spire-config agent join FILE --start"
	setClock    = "timedatectl set-ntp true"
)

// unit looks at what systemd says of a service.
func (e *examination) unit(s *service) {
	state, err := e.Systemd.Show(e.context, s.unit, "LoadState", "UnitFileState", "ActiveState", "Result", "StatusText", "ExecMainStatus")
	switch {
	case errors.Is(err, systemd.ErrAbsent):
		e.well("systemd does not run here, so that no unit was looked at")
		return
	case err != nil:
		e.found(s.unit, "systemd does not say how it is", err.Error(), "systemctl status "+s.unit)
		return
	}
	s.active = state["ActiveState"] == "active"
	switch {
	case state["LoadState"] == "masked":
		e.found(s.unit, "it is masked", "somebody ran systemctl mask", "systemctl unmask "+s.unit)
	case state["LoadState"] == "not-found":
		e.found(s.unit, "there is no such unit", s.config+" is there, but the package is not installed", "install the package spire-"+s.name)
	case s.active && state["UnitFileState"] == "disabled":
		e.found(s.unit, "it runs, and will not come back after a reboot", "it is not enabled", "systemctl enable "+s.unit)
	case s.active:
		e.well("%s is active", s.unit)
	default:
		e.down(*s, state)
	}
}

func (e *examination) down(s service, state map[string]string) {
	switch state["ActiveState"] {
	case "activating":
		e.found(s.unit, "it is starting, and not ready", e.reason(s, said(state["StatusText"], "it does not say what it waits for")), "journalctl -u "+s.unit)
	case "failed":
		e.found(s.unit, fmt.Sprintf("it has failed (%s, exit status %s)", state["Result"], state["ExecMainStatus"]), e.reason(s, "the journal says no more"), "journalctl -u "+s.unit)
	default:
		e.found(s.unit, "it does not run", "it was not started, or stopped", s.starting())
	}
}

// starting is the command that makes the service run.
func (s service) starting() string {
	switch {
	case !s.pristine():
		return "systemctl enable --now " + s.unit
	case s.name == "server":
		return "spire-config server init --trust-domain YOURS --start"
	}
	return inviteAgain
}

func said(words, otherwise string) string {
	if words == "" {
		return otherwise
	}
	return words
}

// reason is the newest trouble in the journal that has a name.
func (e *examination) reason(s service, otherwise string) string {
	if why := e.symptoms(s); len(why) > 0 {
		return why[0].Cause
	}
	return otherwise
}

const journalLines = 200

func (e *examination) symptoms(s service) []symptom.Symptom {
	lines, err := e.Systemd.Journal(e.context, s.unit, journalLines)
	if err != nil {
		return nil
	}
	if s.active {
		lines = symptom.Since(lines)
	}
	return symptom.Explain(lines)
}

// journals translates what the services complain of.
func (e *examination) journals() {
	const most = 3
	for _, s := range e.services {
		why := e.symptoms(s)
		for _, one := range why[:min(len(why), most)] {
			e.found("journal of "+s.unit, one.Cause, one.Line, one.Mend)
		}
	}
}

func (e *examination) sockets() {
	for _, s := range e.services {
		err := serverapi.Healthy(e.context, s.socket)
		switch {
		case err == nil:
			e.well("the %s answers at %s", s.name, s.socket)
		case s.active:
			e.found(s.socket, "the "+s.name+" is active and does not answer that it is well", err.Error(), "systemctl restart "+s.unit)
		}
	}
}

// database connects to the one that the server shares with others.
func (e *examination) database() {
	at := slices.IndexFunc(e.services, func(s service) bool { return s.name == "server" && s.file != nil })
	if at < 0 {
		return
	}
	plugin, _ := e.services[at].file.Plugin("DataStore", "sql")
	address := datastore.Configured(plugin.Text)[0]
	if !address.Shared() {
		return
	}
	if address.Socket() {
		e.well("the database was not tried: by its socket it may know the service's user, and not root")
		return
	}
	if _, err := address.Look(e.context); err != nil {
		e.found("the database", "the server's database cannot be used", err.Error(), "connection_string in "+e.services[at].config+", the password in "+e.ServerEnv()+", and the database's own log")
		return
	}
	e.well("the database answers")
}

// server looks at the agent's way to its server.
func (e *examination) server() {
	agent, ok := e.agent()
	if !ok {
		return
	}
	host, port := agent.file.Value("agent", "server_address").Text, agent.file.Value("agent", "server_port").Text
	address := net.JoinHostPort(host, port)
	if err := e.resolve(host); err != nil {
		e.found(host, "the name of the server is not known here", fmt.Sprintf("%v; SPIRE asks /etc/hosts and DNS, and nothing else", err), "add it to DNS or to /etc/hosts, or set server_address in "+agent.config+" to an address")
		return
	}
	td, err := spiffeid.TrustDomainFromString(agent.file.Value("agent", "trust_domain").Text)
	if err != nil {
		// Said by the look at the configuration, or by validate.
		return
	}
	roots, where, err := e.roots(agent)
	if err != nil {
		e.found(where, "the agent has no trust bundle to know its server by", err.Error(), inviteAgain)
		return
	}
	shown, err := probe.Look(e.context, probe.Server{Address: address, TrustDomain: td, Bundle: roots, Now: e.Now()})
	if err != nil {
		e.unreached(address, err)
		return
	}
	e.well("the server at %s shows %s, valid until %s", address, shown.URIs[0], shown.NotAfter.UTC().Format(time.RFC3339))
}

func (e *examination) resolve(host string) error {
	if net.ParseIP(host) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(e.context, 10*time.Second)
	defer cancel()
	_, err := net.DefaultResolver.LookupHost(ctx, host)
	return err
}

// roots are those that the agent goes by: what it has learned, or what it was given for
// the start.
func (e *examination) roots(agent service) ([]*x509.Certificate, string, error) {
	if state, err := e.AgentIdentity(); err == nil && len(state.Bundle) > 0 {
		return state.Bundle, "", nil
	}
	path := agent.file.Value("agent", "trust_bundle_path").Text
	if path == "" {
		path = e.AgentBootstrap()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, path, err
	}
	roots, err := bundle.Parse(text)
	return roots, path, err
}

// unreached has for each kind of trouble on the way what it means, and what to do.
func (e *examination) unreached(address string, err error) {
	var (
		unreachable probe.UnreachableError
		stranger    probe.StrangerError
		other       probe.TrustDomainError
		clock       probe.ClockError
	)
	switch {
	case errors.As(err, &unreachable):
		e.found(address, "the server does not answer", unreachable.Err.Error(), "systemctl status spire-server (on the server), bind_address in its server.conf, and its firewall")
	case errors.As(err, &stranger):
		e.found(address, "what answers is no SPIRE server", stranger.Err.Error(), "set server_address and server_port in "+e.AgentConfig())
	case errors.As(err, &other):
		e.found(address, "the server is of another trust domain", fmt.Sprintf("it shows %s, expected is %s", other.Got, other.Want), "set server_address or trust_domain in "+e.AgentConfig())
	case errors.As(err, &clock):
		e.found(address, "the clock of this machine or of the server is off", clock.Error(), setClock)
	default:
		e.found(address, "the server's certificate does not chain to the agent's trust bundle", err.Error(), inviteAgain+" --force")
	}
}

// identity looks at the agent's own.
func (e *examination) identity() {
	agent, ok := e.agent()
	if !ok {
		return
	}
	state, err := e.AgentIdentity()
	folder := e.AgentState(agent.file.Value("agent", "data_dir").Text)
	left := state.Expires().Sub(e.Now())
	switch {
	case err != nil:
		e.found(folder, "the agent's state cannot be read", err.Error(), "systemctl stop spire-agent, move it away, and a new invitation")
	case len(state.SVID) == 0:
		e.found(folder, "the agent has no identity", "it has not attested, or the server has forgotten it", inviteAgain)
	case left <= 0:
		e.found(folder, "the agent's SVID has expired", fmt.Sprintf("it ended at %s: the agent was off for longer than agent_ttl, or did not reach its server", state.Expires().UTC().Format(time.RFC3339)), inviteAgain)
	case left < state.Expires().Sub(state.SVID[0].NotBefore)/4:
		e.found(folder, "the agent's SVID is not renewed", fmt.Sprintf("it ends in %s, and is renewed at half of its life", left.Round(time.Second)), "journalctl -u "+agent.unit)
	default:
		e.well("the agent is %s until %s", state.ID(), state.Expires().UTC().Format(time.RFC3339))
	}
}

// enough is what the state may need for a while.
const enough = 50 << 20

func (e *examination) disk() {
	folder := e.Path("/var/lib/spire")
	var disk unix.Statfs_t
	if err := unix.Statfs(folder, &disk); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			e.found(folder, "the disk does not say how full it is", err.Error(), "df -h "+folder)
		}
		return
	}
	free := disk.Bavail * uint64(disk.Bsize)
	switch {
	case free < enough:
		e.found(folder, "the disk is full", fmt.Sprintf("%d MiB are free", free>>20), "df -h "+folder+", and delete something")
	case disk.Files > 0 && disk.Ffree < 100:
		e.found(folder, "the disk is full", fmt.Sprintf("%d inodes are free", disk.Ffree), "df -i "+folder+", and delete something")
	default:
		e.well("%d MiB are free in %s", free>>20, folder)
	}
}

// configurations has the errors of spire-config check.
func (e *examination) configurations() {
	var files []string
	for _, s := range e.services {
		files = append(files, s.config)
	}
	findings, err := check.Files(e.context, e.Machine, files)
	if err != nil {
		e.found(strings.Join(files, ", "), "the configuration cannot be read", err.Error(), "spire-config check")
		return
	}
	for _, finding := range findings {
		if finding.Severity == check.Error {
			e.found(fmt.Sprintf("%s:%d", finding.File, finding.Line), finding.Words, "spire-config check says so; validate does not see it", finding.Mend)
		}
	}
	if check.Count(findings, check.Error) == 0 {
		e.well("the configuration has no errors")
	}
}
