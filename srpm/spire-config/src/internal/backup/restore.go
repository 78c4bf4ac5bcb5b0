package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/release"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// Restore is what is asked of a server that comes back.
type Restore struct {
	File  string
	Start bool
	// Force gives up a server that is here.
	Force bool
}

// Run brings the server back.
func (r Restore) Run(ctx context.Context, m machine.Machine) error {
	saved, err := r.verify()
	if err != nil {
		return fmt.Errorf("%s: %w", r.File, err)
	}
	if saved.invitation() {
		return fmt.Errorf("%s: %w", r.File, errInvitation)
	}
	if err := admit(ctx, m, saved); err != nil {
		return err
	}
	former, err := r.former(m, saved)
	if err != nil {
		return err
	}
	if m.DryRun {
		show(m, saved, former)
		return nil
	}
	if err := r.configuration(ctx, m, saved); err != nil {
		return fmt.Errorf("restoring the configuration: %w", err)
	}
	for _, f := range former {
		if err := change.MoveAway(f.source); err != nil {
			return fmt.Errorf("moving away the server's state: %w", err)
		}
	}
	if err := r.state(m, saved); err != nil {
		return fmt.Errorf("restoring the state: %w", err)
	}
	m.Say("restored the server of %s, as it was at %s", saved.TrustDomain, saved.Created.Format("2006-01-02T15:04:05Z07:00"))
	return r.start(ctx, m)
}

// verify reads all of the archive before anything is done.
func (r Restore) verify() (manifest, error) {
	return r.each(func(file, io.Reader) error { return nil })
}

func (r Restore) each(take func(file, io.Reader) error) (manifest, error) {
	in, err := os.Open(r.File)
	if err != nil {
		return manifest{}, err
	}
	defer in.Close()
	return read(in, take)
}

func admit(ctx context.Context, m machine.Machine, saved manifest) error {
	if running(ctx, m) {
		return fmt.Errorf("a server runs here: systemctl stop %s before", layout.ServerUnit)
	}
	installed, err := release.Parse(spire.Server.Version(ctx))
	if err != nil {
		return errors.New("spire-server is not installed here: install the package")
	}
	if was, err := release.Parse(saved.Version); err == nil && installed.OlderThan(was) {
		return fmt.Errorf("the backup is of SPIRE %s, and spire-server here is %s, which is older than its database: install %d.%d", was, installed, was.Major, was.Minor)
	}
	return nil
}

// former is the state that is here, if it may be moved away.
func (r Restore) former(m machine.Machine, saved manifest) ([]file, error) {
	folder := m.ServerState(saved.DataDir)
	there, err := list(stateFolder, folder)
	if err == nil && len(there) > 0 && !r.Force {
		err = fmt.Errorf("there is a server's state in %s already: add --force to give it up (it is kept as *.before-spire-config)", folder)
	}
	return there, err
}

func show(m machine.Machine, saved manifest, former []file) {
	for _, f := range former {
		m.Say("would move away %s", f.source)
	}
	for _, f := range saved.Files {
		m.Say("would restore %s", target(m, saved, f))
	}
}

func target(m machine.Machine, saved manifest, f file) string {
	folder, rest, _ := strings.Cut(f.Name, "/")
	switch folder {
	case stateFolder:
		return filepath.Join(m.ServerState(saved.DataDir), rest)
	case unitFolder:
		return m.DropIn(layout.ServerUnit, rest)
	}
	return filepath.Join(filepath.Dir(m.ServerConfig()), rest)
}

// state writes the state's files, where nothing is in their way: all of them, or none.
func (r Restore) state(m machine.Machine, saved manifest) error {
	user, err := account.Lookup(layout.ServerUser)
	service := &user
	if err != nil {
		// A machine where the package did not make it, such as a test's.
		service = nil
	} else if err := home(m, saved, user); err != nil {
		return err
	}
	var written []string
	_, err = r.each(func(f file, content io.Reader) error {
		if path.Dir(f.Name) != stateFolder {
			return nil
		}
		name := target(m, saved, f)
		err := f.create(name, content, service)
		if !errors.Is(err, fs.ErrExist) {
			written = append(written, name)
		}
		return err
	})
	if err != nil {
		for _, name := range written {
			err = errors.Join(err, os.Remove(name))
		}
	}
	return err
}

// create writes a file of the service's. The folder is the service's, too, which could
// put a link there: O_EXCL follows none.
func (f file) create(name string, content io.Reader, service *account.User) error {
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.Mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	if service != nil {
		err = errors.Join(err, out.Chown(int(service.UID), int(service.GID)))
	}
	return errors.Join(err, out.Sync(), out.Close())
}

// home makes the folder that the unit shows the service, as the unit's first start does.
func home(m machine.Machine, saved manifest, user account.User) error {
	folder := m.ServerState(saved.DataDir)
	if folder == m.ServerState("") && filepath.Base(folder) != "+default" {
		folder = filepath.Join(folder, "+default")
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return os.Lchown(folder, int(user.UID), int(user.GID))
}

// configuration writes what the configuration names first, and itself when it is valid
// with that.
func (r Restore) configuration(ctx context.Context, m machine.Machine, saved manifest) error {
	var around, itself []change.File
	var services []string
	_, err := r.each(func(f file, content io.Reader) error {
		path := target(m, saved, f)
		if strings.HasPrefix(f.Name, stateFolder+"/") {
			return nil
		}
		text, err := io.ReadAll(content)
		written := change.File{Path: path, Content: text, Mode: f.Mode, Private: f.Mode&0o077 == 0}
		if path == m.ServerConfig() {
			itself = append(itself, written)
			return err
		}
		if around = append(around, written); f.Service {
			services = append(services, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := m.Apply(change.Plan{Files: around}); err != nil {
		return err
	}
	if err := give(services); err != nil {
		return err
	}
	_, err = m.Apply(change.Plan{Files: itself, Check: m.CheckServer(ctx)})
	return err
}

// give hands files to the service that were its own.
func give(paths []string) error {
	user, err := account.Lookup(layout.ServerUser)
	if err != nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Lchown(path, int(user.UID), int(user.GID)); err != nil {
			return err
		}
	}
	return nil
}

func (r Restore) start(ctx context.Context, m machine.Machine) error {
	if !r.Start {
		m.Say("next: systemctl enable --now spire-server")
		return nil
	}
	if _, err := m.StartServer(ctx, true); err != nil {
		return err
	}
	m.Say("%s runs", layout.ServerUnit)
	return nil
}
