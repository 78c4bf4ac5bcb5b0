// Package configuration has the built programs read every configuration that is shipped.
package configuration

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// validator says how a command is asked whether it accepts a configuration.
type validator struct {
	prefix string // of the configuration's file name
	binary string
	ask    func(context.Context, run.Command) error
}

var validators = []validator{
	{"server", "spire-server", validates},
	{"agent", "spire-agent", validates},
	{"oidc-discovery-provider", "oidc-discovery-provider", starts},
}

// validatorOf finds the command that a configuration is for, by its name.
func validatorOf(file string) (validator, bool) {
	for _, v := range validators {
		if strings.HasPrefix(filepath.Base(file), v.prefix) {
			return v, true
		}
	}
	return validator{}, false
}

// validate has the built command read one configuration, with the variables
// of the environment file beside it, as systemd would give them.
func validate(ctx context.Context, b subject.Build, file string) error {
	v, ok := validatorOf(file)
	if !ok {
		return fmt.Errorf("no command reads %s", file)
	}
	env, err := exampleEnv(filepath.Dir(file))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "spire-packages-config-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	aside, err := setAside(dir, file)
	if err != nil {
		return err
	}
	env = append(env, "CREDENTIALS_DIRECTORY="+dir) // as systemd says where they are
	return v.ask(ctx, run.Command{Name: b.Work(runtime.GOARCH, "bin", v.binary), Args: []string{"-config", aside, "-expandEnv"}, Env: env, Dir: dir})
}

// installed are the folders of an installation that a configuration names, and that
// this machine need not have.
var installed = []string{"/etc/spire/", "/etc/ssh/", "/run/spire/oidc-discovery-provider/"}

// certificateFile is a certificate that a configuration names. The admin puts it
// there; since SPIRE 1.14 `validate` also reads it.
var certificateFile = regexp.MustCompile(`/etc/spire/([a-z]+/[a-z-]+\.crt)\b`)

// setAside writes a copy of a configuration to dir that names dir instead of the
// folders of an installation, and the certificates that it names. It returns the
// copy's path.
func setAside(dir, file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for _, named := range certificateFile.FindAllStringSubmatch(string(content), -1) {
		if err := writeCA(filepath.Join(dir, named[1])); err != nil {
			return "", fmt.Errorf("making %s, which %s names: %w", named[0], file, err)
		}
	}
	if strings.Contains(string(content), `"sshpop"`) {
		if err := writeSSH(dir); err != nil {
			return "", fmt.Errorf("making the keys of SSH that %s names: %w", file, err)
		}
	}
	text := string(content)
	for _, folder := range installed {
		text = strings.ReplaceAll(text, folder, dir+"/")
	}
	path := filepath.Join(dir, filepath.Base(file))
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// writeCA writes the certificate of a CA that nobody has the key of, in PEM.
func writeCA(path string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: filepath.Base(path)},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, public, private)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// writeSSH writes a host's key, its certificate, and the public key of the CA that has
// signed it, under the names that the examples and the drop-in sshpop.conf have.
func writeSSH(dir string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	certificate := &ssh.Certificate{Key: key, CertType: ssh.HostCert, ValidPrincipals: []string{"host.example.org"}, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		return err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ssh_host_key":                  pem.EncodeToMemory(block),
		"ssh_host_ed25519_key-cert.pub": ssh.MarshalAuthorizedKey(certificate),
		"server/ssh-ca.pub":             ssh.MarshalAuthorizedKey(key),
	} {
		if err := artifact.WriteBytes(filepath.Join(dir, name), 0o600, content); err != nil {
			return err
		}
	}
	return nil
}

// validates asks `validate`, which servers and agents have.
func validates(ctx context.Context, command run.Command) error {
	command.Args = append([]string{"validate"}, command.Args...)
	out, err := command.Combined(ctx)
	if err != nil {
		return fmt.Errorf("%w%s", err, tally.Indented(out))
	}
	if !strings.Contains(out, "configuration file is valid") {
		return fmt.Errorf("it said neither yes nor no:%s", tally.Indented(out))
	}
	return nil
}

// starting is how long the OIDC provider, which has no way to only check, may
// run: it serves, or has ended, within milliseconds.
const starting = time.Second

// starts runs the OIDC provider, where this user may without a network, until it
// says that it serves.
func starts(ctx context.Context, command run.Command) error {
	if os.Geteuid() == 0 {
		command.Args = append([]string{"--net", command.Name}, command.Args...)
		command.Name = "unshare"
	}
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	out, err := command.Combined(ctx)
	// Who may not bind port 443 gets the second answer to a good file.
	if strings.Contains(out, "Serving HTTP") || strings.Contains(out, "failed to create an ACME listener") {
		return nil
	}
	return errors.Join(errors.New("it did not serve:"+tally.Indented(out)), err)
}

// exampleEnv reads the *.env.example files of a folder in the form of
// systemd's EnvironmentFile.
func exampleEnv(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.env.example"))
	if err != nil {
		return nil, err
	}
	env := []string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
			if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
				env = append(env, line)
			}
		}
	}
	return env, nil
}

// Check has the real binaries read every configuration that is
// shipped.
func Check(ctx context.Context, t *tally.Tally, b subject.Build) error {
	if err := b.Here("binaries"); err != nil {
		return err
	}
	files, err := shipped(b.Root)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, _ := filepath.Rel(b.Root, file)
		t.Part("configuration "+name, func() error { return validate(ctx, b, file) })
	}
	return tally.ErrCounted
}

// shipped are the configuration files of the three commands;
// those of other programs, such as a web server's, are left out.
func shipped(root string) ([]string, error) {
	var files []string
	for _, pattern := range []string{"packages/*/*.conf", "packages/*/examples/*/*.conf"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			if _, ours := validatorOf(file); ours {
				files = append(files, file)
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no configuration found")
	}
	return files, nil
}
