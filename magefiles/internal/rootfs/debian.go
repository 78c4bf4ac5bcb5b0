package rootfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// debian makes a row's root file system as a tarball, from the distribution's
// own archive.
type debian struct {
	image matrix.Image
	arch  string
}

// command writes the root's tarball to standard output. Where no mirror is named, it is
// mmdebstrap's default, with the suite's security updates, if mirrors have them in time.
func (d debian) command(mirror string) run.Command {
	args := []string{
		"--variant=minbase",
		"--format=tar",
		"--architectures=" + architecture.Of(d.arch).Debian,
		"--include=" + strings.Join(d.image.Installed(), ","),
	}
	if d.image.AnyAge || mirror != "" { // a snapshot's lists are old
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`, `--customize-hook=rm "$1"/etc/apt/apt.conf.d/99mmdebstrap`)
	}
	if architecture.Of(d.arch).Runner == "" {
		args = append(args, toolroot.SuiteAlone(d.image.Suite))
	}
	args = append(args, d.image.Suite, "-")
	if mirror != "" {
		args = append(args, mirror)
	}
	return run.New("mmdebstrap", args...)
}

// mirror is the snapshot with the source's tools; empty where the root has none of
// them, or it cannot be reached.
func (d debian) mirror(ctx context.Context) string {
	if d.image.Tools == nil {
		return ""
	}
	return toolroot.Mirror(ctx, *d.image.Tools)
}

// hash is over all that decides what is in the root. A stand-in's own package
// is not: it comes later, into the container. Nor is the mirror: where it matters, the
// versions are named.
func (d debian) hash() string {
	sum := sha256.Sum256([]byte(d.command("").String()))
	return fmt.Sprintf("%x", sum[:6])
}

// file is the tarball's name in the cache.
func (d debian) file() string {
	return fmt.Sprintf("root-%s-%s-%s.tar", d.image.Suite, d.arch, d.hash())
}

// tag names the root as an image in Docker.
func (d debian) tag() string {
	return fmt.Sprintf("%s%s-%s-%s", tagPrefix, d.image.Suite, d.arch, d.hash())
}

// provide makes an image of the root's tarball.
func (d debian) provide(ctx context.Context, m *Maker) error {
	tarball, err := d.tarball(ctx, m.Cache, m.Log)
	if err != nil {
		return err
	}
	return container.Import(tarball, d.tag()).Run(ctx)
}

// tarball gives the path of the root's tarball in the cache, which it fills
// when needed. The tarball gets its name when it is whole.
func (d debian) tarball(ctx context.Context, cache string, log io.Writer) (string, error) {
	path := filepath.Join(cache, d.file())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if !run.Have("mmdebstrap") {
		return "", fmt.Errorf("%w: mmdebstrap is missing, which makes the root of %s (`setup:test` installs it)", container.ErrSkip, d.image.Suite)
	}
	// One root at a time: mmdebstrap fills the cores by itself, and what killed
	// runs left can be swept only while nobody else writes here.
	unlock, err := artifact.Dist(cache).Lock(ctx, log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil { // made by the run that was waited for
		return path, nil
	}
	if err := artifact.Sweep(cache); err != nil {
		return "", err
	}
	err = artifact.Write(path, 0o644, func(w io.Writer) error {
		command := d.command(d.mirror(ctx))
		command.Stdout = w
		return command.Run(ctx)
	})
	return path, err
}
