// Package rootfs makes the root file systems of the targets, as images in Docker or as
// tarballs: by mmdebstrap from a suite of Debian's, or of a registry's image, to which
// the distribution's package manager adds what that lacks.
package rootfs

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/registry"
)

// Maker makes roots, those that are not there.
type Maker struct {
	container.Driver
	Cache string // folder of root tarballs, kept between runs

	registry registry.Client
}

// tagPrefix begins the names of roots in Docker.
const tagPrefix = "spire-packages-root:"

// recipe is how a target's image comes about.
type recipe interface {
	tag() string
	provide(ctx context.Context, m *Maker) error
}

func recipeOf(t matrix.Target) recipe {
	if t.Image.Reference != "" {
		return completed{image: t.Image, client: t.Client(), from: registry.Of(t.Image, t.Arch)}
	}
	made := debian{image: t.Image, arch: t.Arch}
	if t.Emulated() {
		return newMixed(made)
	}
	return made
}

// RootOf gives the name of the target's image in Docker, which it makes if it is not there.
// Where this machine cannot, it is an ErrSkip.
func (m *Maker) RootOf(ctx context.Context, target matrix.Target) (string, error) {
	if err := container.Emulated(target.Arch); err != nil {
		return "", err
	}
	if target.Emulated() && target.Image.Reference != "" {
		return "", fmt.Errorf("%w: systemd does not run emulated, and there is no native one for a registry's image: run it on a machine of %s", container.ErrSkip, target.Arch)
	}
	r := recipeOf(target)
	if container.HasImage(ctx, r.tag()) {
		return r.tag(), nil
	}
	start := time.Now()
	if err := r.provide(ctx, m); err != nil {
		return "", fmt.Errorf("making the root of %s: %w", target.Name(), err)
	}
	m.Say(container.Progress(target.Name(), "root", time.Since(start), ""))
	return r.tag(), nil
}

// Image gives the name of an image in Docker for this machine's architecture, which it
// makes when it is not there. The log calls it as name says.
func (m *Maker) Image(ctx context.Context, name string, image matrix.Image) (string, error) {
	return m.RootOf(ctx, matrix.Target{Distribution: matrix.Distribution{Name: name, Image: image}, Arch: runtime.GOARCH})
}

// Tarball gives the path of the image's root file system for this machine's
// architecture, which it makes when the cache does not have it.
func (m *Maker) Tarball(ctx context.Context, image matrix.Image) (string, error) {
	return debian{image: image, arch: runtime.GOARCH}.tarball(ctx, m.Cache, m.Log)
}
