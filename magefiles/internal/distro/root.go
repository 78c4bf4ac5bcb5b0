package distro

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

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// root makes a row's root file system as a tarball, from the distribution's
// own archive.
type root struct {
	image Image
	arch  string
}

// command writes the root's tarball to standard output. Where no mirror is named, it is
// mmdebstrap's default, with the suite's security updates.
func (r root) command(mirror string) run.Command {
	args := []string{
		"--variant=minbase",
		"--format=tar",
		"--architectures=" + architecture.Of(r.arch).Debian,
		"--include=" + strings.Join(r.image.packages(), ","),
	}
	if r.image.AnyAge || mirror != "" { // a snapshot's lists are old
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`, `--customize-hook=rm "$1"/etc/apt/apt.conf.d/99mmdebstrap`)
	}
	args = append(args, r.image.Suite, "-")
	if mirror != "" {
		args = append(args, mirror)
	}
	return run.New("mmdebstrap", args...)
}

// mirror is the snapshot with the source's tools; empty where the root has none of
// them, or it cannot be reached.
func (r root) mirror(ctx context.Context) string {
	if r.image.Tools == nil {
		return ""
	}
	return toolroot.Mirror(ctx, *r.image.Tools)
}

// hash is over all that decides what is in the root. A stand-in's own package
// is not: it comes later, into the container. Nor is the mirror: where it matters, the
// versions are named.
func (r root) hash() string {
	sum := sha256.Sum256([]byte(r.command("").String()))
	return hex.EncodeToString(sum[:6])
}

// file is the tarball's name in the cache.
func (r root) file() string {
	return fmt.Sprintf("root-%s-%s-%s.tar", r.image.Suite, r.arch, r.hash())
}

// tag names the root as an image in Docker.
func (r root) tag() string {
	return fmt.Sprintf("spire-packages-root:%s-%s-%s", r.image.Suite, r.arch, r.hash())
}

// provide makes an image of the root's tarball.
func (r root) provide(ctx context.Context, h *Host) error {
	tarball, err := r.tarball(ctx, h.Cache, h.Log)
	if err != nil {
		return err
	}
	return importImage(tarball, r.tag()).Run(ctx)
}

// tarball gives the path of the root's tarball in the cache, which it fills
// when needed. The tarball gets its name when it is whole.
func (r root) tarball(ctx context.Context, cache string, log io.Writer) (string, error) {
	path := filepath.Join(cache, r.file())
	if exists(path) {
		return path, nil
	}
	if !run.Have("mmdebstrap") {
		return "", fmt.Errorf("%w: mmdebstrap is missing, which makes the root of %s (`setup:test` installs it)", ErrSkip, r.image.Suite)
	}
	// One root at a time: mmdebstrap fills the cores by itself, and what killed
	// runs left can be swept only while nobody else writes here.
	unlock, err := artifact.Dist(cache).Lock(ctx, log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(path) { // made by the run that was waited for
		return path, nil
	}
	if err := artifact.Sweep(cache); err != nil {
		return "", err
	}
	err = artifact.Write(path, 0o644, func(w io.Writer) error {
		command := r.command(r.mirror(ctx))
		command.Stdout = w
		return command.Run(ctx)
	})
	return path, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
