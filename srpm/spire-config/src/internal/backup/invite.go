package backup

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Invite is what is asked of an invitation for another server.
type Invite struct {
	// File is not there yet, or - for the standard output.
	File string
}

// Run writes the invitation.
func (i Invite) Run(ctx context.Context, m machine.Machine) error {
	configuration, err := m.ServerConfiguration()
	if err != nil {
		return err
	}
	if configuration == nil {
		return fmt.Errorf("%s is not there: no server is set up here", m.ServerConfig())
	}
	if kind := database(configuration); !addressOf(configuration).Shared() {
		return fmt.Errorf("this server has its agents and entries in a database of its own (%s), which no other server can share: spire-config server init --postgres FILE, before the first start", kind)
	}
	if err := keyless(m, configuration); err != nil {
		return err
	}
	made, err := invited(ctx, m, configuration)
	if err != nil {
		return err
	}
	if m.DryRun {
		for _, f := range made.Files {
			m.Say("would hand on %s", f.source)
		}
		return nil
	}
	for _, name := range left(m, configuration) {
		m.Note("warning: %s does not go along: bring it to the other machine yourself", name)
	}
	return i.write(m, made)
}

// invited has all of the server's files but its state. The server has to run: its trust
// bundle is how the other one makes sure that it ended up beside this one.
func invited(ctx context.Context, m machine.Machine, configuration *config.File) (manifest, error) {
	server, err := m.Server()
	if err != nil {
		return manifest{}, err
	}
	defer func() { _ = server.Close() }()
	_, roots, err := server.Bundle(ctx)
	if err != nil {
		return manifest{}, err
	}
	made := describe(ctx, m, configuration)
	made.Roots = digests(roots)
	return made, made.add(configured(m))
}

func digests(roots []*x509.Certificate) []string {
	var all []string
	for _, root := range roots {
		sum := sha256.Sum256(root.Raw)
		all = append(all, hex.EncodeToString(sum[:]))
	}
	return all
}

// ofDatabase are the files that a connection string of PostgreSQL's names.
var ofDatabase = regexp.MustCompile(`ssl(?:rootcert|cert|key)='?(/[^ '&]+)`)

// left are the files that a configuration names, and that do not go along.
func left(m machine.Machine, configuration *config.File) []string {
	var names []string
	for _, value := range configuration.Values() {
		names = append(names, value.Text)
		for _, found := range ofDatabase.FindAllStringSubmatch(value.Text, -1) {
			names = append(names, found[1])
		}
	}
	own := keysOf(configuration)
	return slices.DeleteFunc(names, func(name string) bool {
		info, err := os.Stat(name)
		goes := strings.HasPrefix(name, filepath.Dir(m.ServerConfig())+"/")
		return goes || name == own || !filepath.IsAbs(name) || err != nil || !info.Mode().IsRegular()
	})
}

// keysOf is the file with the CA's private keys, of which each server has its own.
func keysOf(configuration *config.File) string {
	disk, _ := configuration.Plugin("KeyManager", "disk")
	return disk.Value("keys_path").Text
}

// keyless refuses where the CA's private keys would go along.
func keyless(m machine.Machine, configuration *config.File) error {
	if keys := keysOf(configuration); strings.HasPrefix(filepath.Clean(keys), filepath.Dir(m.ServerConfig())+"/") {
		return fmt.Errorf("%s has the CA's private keys, of which each server has its own, and would go along: let keys_path be below the server's data_dir", keys)
	}
	return nil
}

func (i Invite) write(m machine.Machine, made manifest) error {
	if i.File == "-" {
		return write(m.Out, made)
	}
	if err := keep(i.File, made); err != nil {
		return fmt.Errorf("writing the invitation: %w", err)
	}
	m.Say("wrote %s, with the database's password: bring it to the other server's machine by a way that nobody can read or change, such as:", i.File)
	m.Say("  ssh root@HOST spire-config server join - --start < %s && rm %s", i.File, i.File)
	return nil
}
