package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/input"
	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/release"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// Join is what is asked of a server that goes beside another one.
type Join struct {
	// File has the invitation, and - is for Input.
	File  string
	Input io.Reader
	// Address is where agents connect to this server; "" keeps the other's, as far as
	// this machine has it.
	Address string
	Start   bool
}

// An arrival is an invitation that was read.
type arrival struct {
	manifest
	files []change.File
	// own are paths that are the service's, and not root's.
	own []string
	// folder has the files as they came, for a look at them.
	folder string
}

// Run makes this machine's server another one of the trust domain.
func (j Join) Run(ctx context.Context, m machine.Machine) (err error) {
	if j.Address != "" {
		if err := invitation.Host(j.Address); err != nil {
			return err
		}
	}
	folder, err := os.MkdirTemp("", "spire-config-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	came, err := j.read(m, folder)
	if err != nil {
		return fmt.Errorf("%s: %w", j.File, err)
	}
	if err := came.admit(ctx, m); err != nil {
		return err
	}
	changed, err := came.write(ctx, m)
	if err != nil {
		return err
	}
	return j.start(ctx, m, came, changed)
}

// read takes the invitation apart, and makes sure of it.
func (j Join) read(m machine.Machine, folder string) (*arrival, error) {
	in, open, err := input.Open(j.File, j.Input)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	if open != 0 {
		m.Note("warning: %s can be read by others, and holds the database's password: chmod 0600 %s", j.File, j.File)
	}
	came := &arrival{folder: folder}
	came.manifest, err = read(in, func(f file, content io.Reader) error {
		// Where it is a backup by mistake, its keys and its datastore are left alone.
		if strings.HasPrefix(f.Name, stateFolder+"/") {
			return nil
		}
		return came.take(m, f, content)
	})
	switch {
	case err != nil:
		return nil, err
	case !came.invitation():
		return nil, errBackup
	}
	return came, j.address(m, came)
}

// longest is more than any file of a configuration has.
const longest = 16 << 20

func (a *arrival) take(m machine.Machine, f file, content io.Reader) error {
	if f.Size > longest {
		return fmt.Errorf("%w: %s has %d bytes", errForeign, f.Name, f.Size)
	}
	text, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	path := target(m, a.manifest, f)
	a.files = append(a.files, change.File{Path: path, Content: text, Mode: f.Mode.Perm(), Private: f.Mode&0o077 == 0})
	if f.Service {
		a.own = append(a.own, path)
	}
	name := filepath.Join(a.folder, filepath.FromSlash(f.Name))
	return errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, text, 0o600))
}

// configuration is the file of the server's own.
func (a *arrival) configuration(m machine.Machine) (*change.File, error) {
	at := slices.IndexFunc(a.files, func(f change.File) bool { return f.Path == m.ServerConfig() })
	if at < 0 {
		return nil, fmt.Errorf("%w: it has no %s", errForeign, filepath.Base(m.ServerConfig()))
	}
	return &a.files[at], nil
}

// address has the server listen where this machine can.
func (j Join) address(m machine.Machine, came *arrival) error {
	file, err := came.configuration(m)
	if err != nil {
		return err
	}
	document, err := hcledit.Parse(file.Content)
	if err != nil {
		return err
	}
	address := j.Address
	if address == "" {
		address, _ = document.Value("server", "bind_address")
	}
	if address == "" {
		return nil
	}
	if err := document.Set(setup.BindAddress(address), "server", "bind_address"); err != nil {
		return err
	}
	file.Content = document.Bytes()
	return nil
}

// admit says whether this machine may have such a server.
func (a *arrival) admit(ctx context.Context, m machine.Machine) error {
	installed, err := release.Parse(spire.Server.Version(ctx))
	if err != nil {
		return errors.New("spire-server is not installed here: install the package")
	}
	if other, err := release.Parse(a.Version); err == nil && (release.Server(other, installed) != nil || release.Server(installed, other) != nil) {
		return fmt.Errorf("the other server is SPIRE %s, and spire-server here is %s: servers that share a database are at most one minor version apart: install %d.%d", other, installed, other.Major, other.Minor)
	}
	here, err := m.ServerConfiguration()
	if err != nil {
		return err
	}
	there, err := config.Read(filepath.Join(a.folder, configFolder, filepath.Base(m.ServerConfig())), a.env(m))
	if err != nil {
		return err
	}
	if here != nil && !same(here, there) {
		state := m.ServerState(here.Value("server", "data_dir").Text)
		if files, err := list(stateFolder, state); err != nil || len(files) > 0 {
			return errors.Join(err, fmt.Errorf("this machine has a server of %s already, with its state in %s: stop it and move that folder away", here.Value("server", "trust_domain").Text, state))
		}
	}
	return a.look(ctx, m, there)
}

// same says whether two configurations are of the same trust domain and database, so
// that what is there was begun by this very invitation.
func same(here, there *config.File) bool {
	return here.Value("server", "trust_domain").Text == there.Value("server", "trust_domain").Text && addressOf(here).Same(addressOf(there))
}

// addressOf is where a configuration has its database.
func addressOf(file *config.File) datastore.Address {
	plugin, _ := file.Plugin("DataStore", "sql")
	return datastore.Configured(plugin.Text)[0]
}

func (a *arrival) env(m machine.Machine) map[string]string {
	// One that is not there is empty.
	env, _ := config.Env(filepath.Join(a.folder, configFolder, filepath.Base(m.ServerEnv())))
	return env
}

// look connects to the database from here, before anything is written.
func (a *arrival) look(ctx context.Context, m machine.Machine, there *config.File) error {
	address := addressOf(there)
	if !address.Shared() {
		return fmt.Errorf("%w: its database is %s", errForeign, address.Kind)
	}
	// Its files are not in their places yet.
	address = address.Moved(func(path string) string {
		if rest, ok := strings.CutPrefix(path, filepath.Dir(m.ServerConfig())+"/"); ok {
			return filepath.Join(a.folder, configFolder, rest)
		}
		return path
	})
	theirs, err := address.Look(ctx)
	switch {
	case err != nil:
		return err
	case theirs != a.TrustDomain:
		return fmt.Errorf("the database that answers here does not know the trust domain %s: it is not the other server's: see to its address", a.TrustDomain)
	}
	return nil
}

// write writes what the configuration names, and itself when it is valid with that.
func (a *arrival) write(ctx context.Context, m machine.Machine) (bool, error) {
	around := slices.DeleteFunc(slices.Clone(a.files), func(f change.File) bool { return f.Path == m.ServerConfig() })
	file, err := a.configuration(m)
	if err != nil {
		return false, err
	}
	for i, f := range around {
		if f.Private || f.Path == m.ServerEnv() {
			around[i].Mask = func([]byte) []byte { return nil }
		}
	}
	before, err := m.Apply(change.Plan{Files: around})
	if err != nil {
		return before, err
	}
	if !m.DryRun {
		if err := give(a.own); err != nil {
			return before, err
		}
	}
	changed, err := m.Apply(change.Plan{Files: []change.File{*file}, Check: m.CheckServer(ctx)})
	return before || changed, err
}

func (j Join) start(ctx context.Context, m machine.Machine, came *arrival, changed bool) error {
	if !changed {
		m.Say("nothing to change in %s", filepath.Dir(m.ServerConfig()))
	}
	switch {
	case m.DryRun && j.Start:
		m.Say("would enable and start %s", layout.ServerUnit)
		return nil
	case m.DryRun:
		return nil
	case !j.Start:
		m.Say("next: systemctl enable --now spire-server")
		return nil
	}
	if started, err := m.StartServer(ctx, changed); !started {
		return err
	}
	if err := came.beside(ctx, m); err != nil {
		return errors.Join(err, m.Systemd.Do(context.WithoutCancel(ctx), "disable", layout.ServerUnit), m.Systemd.Do(context.WithoutCancel(ctx), "stop", layout.ServerUnit))
	}
	m.Say("%s runs, beside the others of the trust domain %s", layout.ServerUnit, came.TrustDomain)
	m.Say("next: let the load balancer or DNS name that agents know lead here, too")
	return nil
}

// beside makes sure that the new server has the others' trust bundle.
func (a *arrival) beside(ctx context.Context, m machine.Machine) error {
	server, err := m.Server()
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	_, roots, err := server.Bundle(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(digests(roots), func(digest string) bool { return slices.Contains(a.Roots, digest) }) {
		return errors.New("its trust bundle has no root of the other server's: the database is another one, or the invitation is older than the CA: make a new one; the server was stopped")
	}
	return nil
}
