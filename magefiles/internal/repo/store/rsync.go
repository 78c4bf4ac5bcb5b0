package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// remote is a folder of a host that rsync reaches, as rsync writes it. rsync knows no
// conditions: that nobody else publishes there meanwhile is for whoever calls it to see.
type remote struct {
	address  string // with a slash at the end
	patience host.Patience
	log      io.Writer
}

func openRemote(address string, p host.Patience, log io.Writer) (*remote, error) {
	if err := tool.Need("rsync"); err != nil {
		return nil, err
	}
	return &remote{strings.TrimRight(address, "/") + "/", p, log}, nil
}

// String is the address.
func (r *remote) String() string { return strings.TrimSuffix(r.address, "/") }

// Lock does nothing.
func (r *remote) Lock(context.Context, io.Writer) (func(), error) { return func() {}, nil }

// rsync calls it, as often as that may help, with the names that it shall take.
func (r *remote) rsync(ctx context.Context, what string, names []string, args ...string) error {
	list := strings.Join(names, "\x00")
	return r.patience.Again(ctx, r.log, what, func() (_ *http.Response, worth bool, err error) {
		args := append([]string{"--files-from=-", "--from0", "--checksum", "--timeout=" + fmt.Sprint(max(1, int(r.patience.Stall.Seconds())))}, args...)
		command := run.New("rsync", args...)
		command.Stdin = strings.NewReader(list)
		err = command.Run(ctx)
		var failed *run.Error
		return nil, errors.As(err, &failed) && passing(failed.Code), err
	})
}

// passing says whether rsync's exit code is of something that may pass: the connection.
func passing(code int) bool {
	return code == 10 || code == 12 || code == 30 || code == 35 || code == 255
}

// Read gets a file; its mark is the SHA-256.
func (r *remote) Read(ctx context.Context, name string) (content []byte, mark string, err error) {
	dir, err := os.MkdirTemp("", "spire-packages-rsync-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	if err := r.rsync(ctx, "reading "+name, []string{name}, "--ignore-missing-args", r.address, dir); err != nil {
		return nil, "", err
	}
	content, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s has no %s: %w", r, name, fs.ErrNotExist)
	}
	return content, artifact.DigestBytes(content), err
}

// Note does nothing.
func (r *remote) Note(context.Context, []string) error { return nil }

// Put puts files, by one call. They come under other names, and get their own at the end,
// one right after the other.
func (r *remote) Put(ctx context.Context, files []File, done func(string, int64)) error {
	dir, err := os.MkdirTemp("", "spire-packages-rsync-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var names []string
	for _, file := range files {
		to := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := file.stage(to); err != nil {
			return err
		}
		names = append(names, file.Name)
	}
	if err := r.rsync(ctx, fmt.Sprintf("sending %d files", len(files)), names, "--copy-links", "--times", "--chmod=D755,F644", "--delay-updates", dir+"/", r.address); err != nil {
		return err
	}
	for _, file := range files {
		done(file.Name, file.Size)
	}
	return nil
}

// stage has the file, or a link to it, at a path.
func (f File) stage(to string) error {
	if f.from == "" {
		return artifact.WriteBytes(to, 0o644, f.content)
	}
	from, err := filepath.Abs(f.from)
	if err != nil {
		return err
	}
	return os.Symlink(from, to)
}

// Replace puts a file in the place of another one. Between its two steps somebody else's
// can be lost.
func (r *remote) Replace(ctx context.Context, f File, mark string) (string, error) {
	_, there, err := r.Read(ctx, f.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil && there != mark || err != nil && mark != "" {
		return "", errOvertaken
	}
	return f.SHA256, r.Put(ctx, []File{f}, func(string, int64) {})
}

// Exclusive is false.
func (r *remote) Exclusive(context.Context, File) (bool, error) { return false, nil }

// Remove removes files: what rsync is told to send and is not here.
func (r *remote) Remove(ctx context.Context, names []string) error {
	dir, err := os.MkdirTemp("", "spire-packages-rsync-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(path.Dir(name))), 0o755); err != nil {
			return err
		}
	}
	return r.rsync(ctx, fmt.Sprintf("removing %d files", len(names)), names, "--delete-missing-args", dir+"/", r.address)
}
