package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/envfile"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/input"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Database is what is asked of a server's database.
type Database struct {
	// Kind is the database_type; "" is for the one that is configured.
	Kind string
	// File has the connection string, with the password, and - is for Input.
	File  string
	Input io.Reader
	// CA is a file with the CA of the database's certificate. Without it that is in the
	// connection string, or one of the machine's.
	CA string
}

// prepared is what the server's files are to say of its database.
type prepared struct {
	datastore.Connection
	files []change.File
}

// prepare reads what was given, and looks at the database, before anything is written.
func (d Database) prepare(ctx context.Context, m machine.Machine, trustDomain string) (prepared, error) {
	if d.Kind == "" {
		if d.CA != "" {
			return prepared{}, errors.New("--database-ca is the CA of a database: add --postgres FILE or --mysql FILE")
		}
		return prepared{}, nil
	}
	if err := leaves(m); err != nil {
		return prepared{}, err
	}
	text, err := d.read()
	if err != nil {
		return prepared{}, err
	}
	ready := prepared{}
	ca := ""
	if d.CA != "" {
		if ca, err = ready.carry(m, d.CA); err != nil {
			return prepared{}, err
		}
	}
	ready.Connection, err = datastore.New(d.Kind, text, ca)
	switch {
	case errors.Is(err, datastore.ErrUnverified):
		return prepared{}, fmt.Errorf("%s: %w: give its CA by --database-ca FILE, or say sslmode=verify-full (tls=true for MySQL) where this machine knows it", d.File, err)
	case err != nil:
		return prepared{}, fmt.Errorf("%s: %w", d.File, err)
	}
	if err := ready.hide(m); err != nil {
		return prepared{}, err
	}
	return ready, d.look(ctx, m, ready, trustDomain)
}

// leaves refuses to leave a datastore that has something.
func leaves(m machine.Machine) error {
	file, err := m.ServerConfiguration()
	if err != nil || file == nil {
		return err
	}
	sql, _ := file.Plugin("DataStore", "sql")
	if sql.Value("database_type").Text != "sqlite3" {
		return nil
	}
	path, dataDir := sql.Value("connection_string").Text, file.Value("server", "data_dir").Text
	state := m.ServerState(dataDir)
	if filepath.Dir(path) == filepath.Clean(dataDir) {
		path = filepath.Join(state, filepath.Base(path))
	}
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return fmt.Errorf("this server has its agents and entries in %s, and SPIRE moves none to another database: stop it and move %s away for a new server, whose agents join anew", path, state)
}

// read returns the connection string, which has a password and is nobody else's.
func (d Database) read() (string, error) {
	in, open, err := input.Open(d.File, d.Input)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	if open != 0 {
		return "", fmt.Errorf("%s has the database's password, and mode %04o: chmod 0600 %s", d.File, open, d.File)
	}
	const longest = 1 << 16
	text, err := io.ReadAll(io.LimitReader(in, longest))
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 1 || lines[0] == "" {
		return "", fmt.Errorf("%s has %d lines: want one, the connection string", d.File, len(lines))
	}
	return lines[0], nil
}

// carry has the CA's certificate beside the configuration, where the service reads it,
// and returns its path there.
func (p *prepared) carry(m machine.Machine, ca string) (string, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(text, []byte("-----BEGIN CERTIFICATE-----")) || bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		return "", fmt.Errorf("%s is no certificate in PEM, or has more than that", ca)
	}
	p.files = append(p.files, change.File{Path: m.ServerDatabaseCA(), Content: text, Mode: 0o644})
	return m.ServerDatabaseCA(), nil
}

// hide has the password in the environment file.
func (p *prepared) hide(m machine.Machine) error {
	if p.Password == "" {
		return nil
	}
	text, err := os.ReadFile(m.ServerEnv())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.files = append(p.files, change.File{
		Path: m.ServerEnv(), Content: envfile.Set(text, datastore.PasswordVariable, p.Password), Mode: 0o600, Private: true,
		Mask: func(text []byte) []byte { return envfile.Mask(text, "") },
	})
	return nil
}

// mask hides the password of a former connection string.
func (d Database) mask(m machine.Machine, text []byte) func([]byte) []byte {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil
	}
	former, _ := document.Value(at("connection_string")...)
	kind, _ := document.Value(at("database_type")...)
	password := datastore.Address{Kind: kind, String: former}.Password()
	if d.Kind == "" || password == "" || strings.HasPrefix(password, "$") {
		return nil
	}
	m.Note("warning: the former connection_string has its password in it, and stays in a file beside %s: give the database another password", m.ServerConfig())
	return func(text []byte) []byte { return bytes.ReplaceAll(text, []byte(password), []byte("<secret>")) }
}

// look connects as the server will, and refuses a database that is another trust
// domain's.
func (d Database) look(ctx context.Context, m machine.Machine, ready prepared, trustDomain string) error {
	address := ready.Address(func(path string) string {
		if path == m.ServerDatabaseCA() && d.CA != "" {
			return d.CA
		}
		return path
	})
	if address.Socket() {
		m.Note("not tried: the database may ask which user it is that connects by its socket")
		return nil
	}
	theirs, err := address.Look(ctx)
	switch {
	case err != nil:
		return err
	case theirs != "" && theirs != trustDomain:
		return fmt.Errorf("this database is of the trust domain %s already: name another one", theirs)
	case theirs == "" || itself(m):
		return nil
	}
	m.Say("the database has the trust domain %s already: this is another server of it", trustDomain)
	return nil
}

// itself says whether this server has run already.
func itself(m machine.Machine) bool {
	file, err := m.ServerConfiguration()
	return err == nil && file != nil && used(m.ServerState(file.Value("server", "data_dir").Text))
}

// at is the path to a value of the datastore's.
func at(name string) []string { return []string{"plugins", "DataStore", "sql", "plugin_data", name} }

// edit names the database in the configuration.
func (p prepared) edit(document *hcledit.Document) []error {
	errs := []error{
		document.Set(p.Kind, at("database_type")...),
		document.Set(p.String, at("connection_string")...),
		document.Remove(at("ro_connection_string")...),
	}
	if p.RootCA != "" {
		return append(errs, document.Set(p.RootCA, at("root_ca_path")...))
	}
	return append(errs, document.Remove(at("root_ca_path")...))
}
