package distro

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// What another driver than Host needs of what Host has: the machine in QEMU
// (package vm) is made of the same kind of roots.

// Tarball gives the path of the image's root file system for this machine's
// architecture, which it makes when the cache does not have it.
func (h *Host) Tarball(ctx context.Context, image Image) (string, error) {
	return root{image: image, arch: runtime.GOARCH}.tarball(ctx, h.Cache, h.Log)
}

// Image gives the name of the image in Docker, which it makes when it is not
// there. The log calls it as name says.
func (h *Host) Image(ctx context.Context, name string, image Image) (string, error) {
	return h.image(ctx, Target{Distribution: Distribution{Name: name, Image: image}, Arch: runtime.GOARCH})
}

// Derive gives the name of an image that a shell script, with its arguments, makes
// of another one, with the changes that `docker commit` takes. What decides what is
// in it decides its name: it is made where it is not there. Its entry point is the
// script's shell.
func (h *Host) Derive(ctx context.Context, name, from, script string, args []string, changes ...string) (tag string, err error) {
	recipe := slices.Concat([]string{from, script}, args, changes)
	sum := sha256.Sum256([]byte(strings.Join(recipe, "\n")))
	tag = fmt.Sprintf("spire-packages-%s:%s", name, hex.EncodeToString(sum[:6]))
	if imageExists(tag).Run(ctx) == nil {
		return tag, nil
	}
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	if err != nil {
		return "", err
	}
	c := container{name: fmt.Sprintf("spire-packages-image-%s-%d", name, os.Getpid()), image: from, owner: owner}
	defer func() { err = errors.Join(err, c.discard(ctx)) }()
	if err := c.prepare(script, args).Run(ctx); err != nil {
		return "", fmt.Errorf("making the image %s: %w", name, err)
	}
	return tag, c.commit(tag, changes...).Run(ctx)
}

// Claim removes the containers of killed runs, and gives the label that ours
// must have to be removed likewise.
func (h *Host) Claim(ctx context.Context) (label string, err error) {
	if err := reachable(ctx); err != nil {
		return "", err
	}
	h.cleared.Do(func() { err = h.clear(ctx) })
	if err != nil {
		return "", err
	}
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	return ownerLabel + "=" + owner, err
}
