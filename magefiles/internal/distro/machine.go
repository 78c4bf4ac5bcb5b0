package distro

import (
	"context"
	"fmt"
	"os"
	"runtime"
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
	return h.image(ctx, Place{Row: Row{Name: name, Image: image}, Arch: runtime.GOARCH})
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
