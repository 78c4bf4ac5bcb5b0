package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// Backup is what is asked of a backup.
type Backup struct {
	// File is not there yet.
	File string
	// Stop stops a server that runs, and starts it again afterwards.
	Stop bool
}

// Run writes the backup.
func (b Backup) Run(ctx context.Context, m machine.Machine) (err error) {
	configuration, err := m.ServerConfiguration()
	if err != nil {
		return err
	}
	if configuration == nil {
		return fmt.Errorf("%s is not there: no server is set up here", m.ServerConfig())
	}
	if m.DryRun {
		return b.show(ctx, m, configuration)
	}
	start, err := b.stop(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, start()) }()
	contents, err := contents(ctx, m, configuration)
	if err != nil {
		return err
	}
	if err := b.write(contents); err != nil {
		return err
	}
	m.Say("wrote %s, with the CA's private keys: keep it as secret as they are", b.File)
	if contents.Database != "sqlite3" {
		m.Say("the database is %s, and not in it: back it up by its own means", contents.Database)
	}
	return nil
}

// stop makes the datastore stand still, and returns what undoes that.
func (b Backup) stop(ctx context.Context, m machine.Machine) (func() error, error) {
	if !running(ctx, m) {
		return func() error { return nil }, nil
	}
	if !b.Stop {
		return nil, fmt.Errorf("the server is running, and its datastore would change under way: add --stop, which stops it for some seconds, or systemctl stop %s", layout.ServerUnit)
	}
	if err := m.Systemd.Do(ctx, "stop", layout.ServerUnit); err != nil {
		return nil, err
	}
	return func() error {
		// Also when somebody has interrupted this.
		return m.Systemd.Do(context.WithoutCancel(ctx), "start", layout.ServerUnit)
	}, nil
}

func running(ctx context.Context, m machine.Machine) bool {
	return m.Active(ctx, layout.ServerUnit) || serverapi.Healthy(ctx, m.ServerSocketPath()) == nil
}

func (b Backup) show(ctx context.Context, m machine.Machine, configuration *config.File) error {
	contents, err := contents(ctx, m, configuration)
	if err != nil {
		return err
	}
	for _, f := range contents.Files {
		m.Say("would back up %s", f.source)
	}
	return nil
}

func (b Backup) write(contents manifest) error {
	if err := keep(b.File, contents); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return nil
}

// keep writes an archive into a file that is not there yet: all of it, or none.
func keep(name string, contents manifest) error {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: give another name", name)
	}
	if err != nil {
		return err
	}
	if err = errors.Join(write(out, contents), out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// contents are all files of the server.
func contents(ctx context.Context, m machine.Machine, configuration *config.File) (manifest, error) {
	all := describe(ctx, m, configuration)
	if err := inside(configuration, all.DataDir); err != nil {
		return all, err
	}
	return all, all.add(append(configured(m), folder{stateFolder, m.ServerState(all.DataDir)}))
}

func describe(ctx context.Context, m machine.Machine, configuration *config.File) manifest {
	return manifest{
		Form: form, Created: m.Now().UTC().Truncate(time.Second), Version: spire.Server.Version(ctx),
		TrustDomain: configuration.Value("server", "trust_domain").Text, Database: database(configuration), DataDir: configuration.Value("server", "data_dir").Text,
	}
}

// A folder of the machine is one of the archive, under another name.
type folder struct{ name, path string }

// configured are the folders with the server's configuration.
func configured(m machine.Machine) []folder {
	return []folder{
		{configFolder, filepath.Dir(m.ServerConfig())},
		{unitFolder, filepath.Dir(m.DropIn(layout.ServerUnit, "x"))},
	}
}

func (m *manifest) add(folders []folder) error {
	for _, folder := range folders {
		files, err := list(folder.name, folder.path)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", folder.path, err)
		}
		for _, f := range files {
			if f, err = f.look(); err != nil {
				return fmt.Errorf("looking at %s: %w", f.source, err)
			}
			m.Files = append(m.Files, f)
		}
	}
	return nil
}

func database(configuration *config.File) string {
	plugin, ok := configuration.Plugin("DataStore", "sql")
	if kind := plugin.Value("database_type").Text; ok && kind != "" {
		return kind
	}
	return "unknown"
}

// inside says whether keys and datastore are where a backup looks for them.
func inside(configuration *config.File, dataDir string) error {
	disk, _ := configuration.Plugin("KeyManager", "disk")
	sql, _ := configuration.Plugin("DataStore", "sql")
	names := []string{disk.Value("keys_path").Text}
	if database(configuration) == "sqlite3" {
		names = append(names, sql.Value("connection_string").Text)
	}
	for _, name := range names {
		if name != "" && filepath.Dir(name) != filepath.Clean(dataDir) {
			return fmt.Errorf("%s is not in the server's data_dir, %s: a backup would not have it", name, dataDir)
		}
	}
	return nil
}

// list has the names of the files of a folder. Former versions stay where they are, and what is no
// file, such as a link that the service made, is left out; a link of the admin's to a file
// counts as that. Of the state's folders of other instances none is this server's.
func list(name, folder string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir() && name == stateFolder && path != folder:
			return fs.SkipDir
		case !entry.Type().IsRegular() && (name == stateFolder || !regular(path)) || strings.Contains(entry.Name(), ".before-spire-config"):
			return nil
		}
		relative, err := filepath.Rel(folder, path)
		files = append(files, file{Name: name + "/" + filepath.ToSlash(relative), source: path})
		return err
	})
	return files, err
}

// regular says whether a link of the admin's leads to a file.
func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// look reads the file, and says what it is.
func (f file) look() (file, error) {
	source, err := f.open()
	if err != nil {
		return f, err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return f, err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, source); err != nil {
		return f, err
	}
	f.Mode, f.Size, f.SHA256 = info.Mode().Perm(), info.Size(), hex.EncodeToString(sum.Sum(nil))
	f.Service = isService(info.Sys().(*syscall.Stat_t).Uid)
	return f, nil
}

func isService(uid uint32) bool {
	user, err := account.Lookup(layout.ServerUser)
	return err == nil && user.UID == uid
}
