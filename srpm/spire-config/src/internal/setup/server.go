// Package setup sets up a SPIRE server from the configuration that its package has.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Server is what is asked of a new server.
type Server struct {
	TrustDomain string
	// Address is where agents connect; "" leaves it as it is.
	Address string
	// Port is 0 where it stays as it is.
	Port int
	// Database is one that other servers may share; without it the datastore stays as it
	// is configured.
	Database Database
	Start    bool
}

// Run writes the server's configuration and, where asked, starts it.
func (s Server) Run(ctx context.Context, m machine.Machine) error {
	if err := s.sound(); err != nil {
		return err
	}
	text, err := os.ReadFile(m.ServerConfig())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: install the package spire-server", m.ServerConfig())
	}
	if err != nil {
		return err
	}
	if err := s.settled(m); err != nil {
		return err
	}
	shared, err := s.Database.prepare(ctx, m, s.TrustDomain)
	if err != nil {
		return err
	}
	edited, err := s.edit(text, shared)
	if err != nil {
		return fmt.Errorf("editing %s: %w", m.ServerConfig(), err)
	}
	changed, err := m.Apply(change.Plan{
		Files: append(shared.files, change.File{Path: m.ServerConfig(), Content: edited, Mode: 0o644, Mask: s.Database.mask(m, text)}),
		Check: m.CheckServer(ctx),
	})
	if err != nil || m.DryRun {
		return s.dry(m, changed, err)
	}
	return s.start(ctx, m, changed)
}

func (s Server) sound() error {
	if _, err := spiffeid.TrustDomainFromString(s.TrustDomain); err != nil {
		return fmt.Errorf("trust domain %q: %w", s.TrustDomain, err)
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("port %d: want one from 1 to 65535", s.Port)
	}
	if s.Address == "" {
		return nil
	}
	return invitation.Host(s.Address)
}

// settled refuses another name for a trust domain that exists: its keys and entries are
// those of the former.
func (s Server) settled(m machine.Machine) error {
	file, err := m.ServerConfiguration()
	if err != nil || file == nil {
		return err
	}
	current := file.Value("server", "trust_domain").Text
	state := m.ServerState(file.Value("server", "data_dir").Text)
	if current == s.TrustDomain || !used(state) {
		return nil
	}
	return fmt.Errorf("this server is of the trust domain %s already: its keys and entries in %s are of that one and cannot be renamed: for a new trust domain stop it and move that folder away", current, state)
}

func used(state string) bool {
	for _, name := range []string{"keys.json", "datastore.sqlite3"} {
		if _, err := os.Stat(filepath.Join(state, name)); err == nil {
			return true
		}
	}
	return false
}

func (s Server) edit(text []byte, shared prepared) ([]byte, error) {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil, err
	}
	errs := []error{document.Set(s.TrustDomain, "server", "trust_domain")}
	if s.Address != "" {
		errs = append(errs, document.Set(BindAddress(s.Address), "server", "bind_address"))
	}
	if s.Port != 0 {
		errs = append(errs, document.Set(strconv.Itoa(s.Port), "server", "bind_port"))
	}
	if s.Database.Kind != "" {
		errs = append(errs, shared.edit(document)...)
	}
	return document.Bytes(), errors.Join(errs...)
}

// BindAddress is what a server listens on that agents reach at address: that very one
// where this machine has it, and all of them for a name, or behind a translation of
// addresses.
func BindAddress(address string) string {
	ip := net.ParseIP(address)
	if ip == nil {
		return "0.0.0.0"
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return "0.0.0.0"
	}
	for _, one := range own {
		if network, ok := one.(*net.IPNet); ok && network.IP.Equal(ip) {
			return address
		}
	}
	if ip.IsUnspecified() {
		return address
	}
	return "0.0.0.0"
}

// reached is where agents find the server, as far as that is known.
func (s Server) reached() string {
	if ip := net.ParseIP(s.Address); s.Address == "" || ip != nil && ip.IsUnspecified() {
		return "HOST"
	}
	return s.Address
}

func (s Server) dry(m machine.Machine, changed bool, err error) error {
	if err == nil && !changed {
		m.Say("nothing to change in %s", m.ServerConfig())
	}
	if err == nil && s.Start {
		m.Say("would enable and start %s", layout.ServerUnit)
	}
	return err
}

func (s Server) start(ctx context.Context, m machine.Machine, changed bool) error {
	if !changed {
		m.Say("nothing to change in %s", m.ServerConfig())
	}
	if !s.Start {
		m.Say("next: systemctl enable --now spire-server")
		return nil
	}
	if started, err := m.StartServer(ctx, changed); !started {
		return err
	}
	m.Say("%s runs, for the trust domain %s", layout.ServerUnit, s.TrustDomain)
	m.Say("next: spire-config invite NAME --address %s", s.reached())
	return nil
}
