package toolroot

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// enter is what runs in a mount namespace of its own: the folders that follow $0,
// the root, up to --, are shown in the root in their places; then comes the folder to
// work in, and the command.
const enter = `set -e
root=$0
while [ "$1" != -- ]; do
    mkdir -p "$root$1"
    mount --rbind "$1" "$root$1"
    shift
done
shift
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$@"`

// Command is a command that runs with the root's tools, and sees the folders, which
// are absolute, in their places beside them: it may write there as it might without a
// root. Its arguments, environment and folder stay as they are, but for Path.
func (r Root) Command(c run.Command, folders ...string) run.Command {
	if r.Unpinned != "" {
		return c
	}
	c = c.WithEnv(Path)
	switch {
	case r.Dir == "":
		c.Name = program(c.Name)
		return c
	case r.image != "":
		return r.docker(c, folders)
	}
	words := []string{"--mount"}
	if os.Geteuid() != 0 {
		// Root of nothing but the namespace, as which files stay the caller's.
		words = append(words, "--user", "--map-root-user")
	}
	words = append(words, "--", "/bin/sh", "-c", enter, r.Dir, "/proc", "/dev")
	words = append(words, folders...)
	words = append(words, "--", place(c), c.Name)
	c.Name, c.Args, c.Dir = "unshare", append(words, c.Args...), ""
	return c
}

// program is where Path has a program; its name where it is nowhere there.
func program(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	_, folders, _ := strings.Cut(Path, "=")
	for _, folder := range filepath.SplitList(folders) {
		if path := filepath.Join(folder, name); run.Have(path) {
			return path
		}
	}
	return name
}

// Owned is Command, with all files belonging to root, as packages have them.
func (r Root) Owned(c run.Command, folders ...string) run.Command {
	if os.Geteuid() != 0 && (r.Dir == "" || r.image != "") {
		c.Args = append([]string{c.Name}, c.Args...)
		c.Name = "fakeroot"
	}
	return r.Command(c, folders...)
}

// place is where the command works, inside.
func place(c run.Command) string {
	if c.Dir == "" {
		return "/"
	}
	return c.Dir
}

func (r Root) docker(c run.Command, folders []string) run.Command {
	inside := container.Container{
		Image: r.image, Network: "none", User: container.Caller(), Dir: place(c), Remove: true, Init: true, Stdin: true,
	}.WithoutRights()
	for _, folder := range folders {
		inside.Volumes = append(inside.Volumes, folder+":"+folder)
	}
	for _, variable := range c.Env {
		name, _, _ := strings.Cut(variable, "=")
		inside.Env = append(inside.Env, name) // the value comes from docker's own environment
	}
	enter := inside.Run(append([]string{c.Name}, c.Args...)...)
	c.Name, c.Args, c.Dir = enter.Name, enter.Args, ""
	return c
}

// load brings the root into Docker, unless it is there, and sees that the daemon has
// this machine's files.
func (r Root) load(ctx context.Context) error {
	if !container.HasImage(ctx, r.image) {
		err := container.Import("-", r.image).Feed(ctx, func(w io.Writer) error {
			pack := run.New("tar", "--create", "--directory="+r.Dir, ".")
			pack.Stdout = w
			return pack.Run(ctx)
		})
		if err != nil {
			return fmt.Errorf("bringing the root into it: %w", err)
		}
	}
	cache := filepath.Dir(r.Dir)
	if err := r.Command(run.New("test", "-d", r.Dir), cache).Run(ctx); err != nil {
		return fmt.Errorf("showing it this machine's files: %w", err)
	}
	return nil
}
