package toolroot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

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
// root. What it is called with, its environment and its folder stay as they are.
func (r Root) Command(c run.Command, folders ...string) run.Command {
	switch {
	case r.Dir == "":
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

// place is where the command works, inside.
func place(c run.Command) string {
	if c.Dir == "" {
		return "/"
	}
	return c.Dir
}

func (r Root) docker(c run.Command, folders []string) run.Command {
	words := []string{
		"run", "--rm", "--interactive", "--network=none", "--security-opt=no-new-privileges", "--cap-drop=ALL",
		fmt.Sprintf("--user=%d:%d", os.Getuid(), os.Getgid()), "--workdir=" + place(c),
	}
	for _, folder := range folders {
		words = append(words, "--volume="+folder+":"+folder)
	}
	for _, variable := range c.Env {
		name, _, _ := strings.Cut(variable, "=")
		words = append(words, "--env="+name) // the value comes from docker's own environment
	}
	words = append(words, r.image, c.Name)
	c.Name, c.Args, c.Dir = "docker", append(words, c.Args...), ""
	return c
}

// load brings the root into Docker, unless it is there.
func (r Root) load(ctx context.Context) error {
	if run.New("docker", "image", "inspect", r.image).Run(ctx) == nil {
		return nil
	}
	load := run.New("sh", "-c", `tar --create --directory="$0" . | docker import - "$1"`, r.Dir, r.image)
	if err := load.Run(ctx); err != nil {
		return fmt.Errorf("bringing the tools' root %s into Docker: %w", filepath.Base(r.Dir), err)
	}
	return nil
}
