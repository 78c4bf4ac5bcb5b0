package vm

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
)

// The files of a machine's folder in the cache.
const (
	kernelName = "kernel"
	diskName   = "disk.img"
)

// diskSize is for the root and what is installed. It takes no room until used.
const diskSize = "3G"

// makeDisk is what makes a root's file system of a tarball, in /in, without
// any right that a user does not have. It needs no journal: it is used once.
var makeDisk = []string{
	"mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", "/in", "/out/" + diskName, diskSize,
}

// disk gives the folder with the machine's kernel and disk, which it makes
// when the cache does not have it.
func (m Machine) disk(ctx context.Context, said *told) (string, error) {
	recipe := artifact.Key(filepath.Base(m.Root), m.Tools, makeDisk)
	dir := filepath.Join(m.Cache, "machine-"+recipe[:12])
	unlock, err := artifact.Dist(m.Cache).Lock(ctx, m.Log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	said.say("making the disk")
	if err := artifact.Sweep(m.Cache); err != nil {
		return "", err
	}
	err = artifact.MakeDir(dir, func(dir string) error {
		return errors.Join(takeKernel(m.Root, filepath.Join(dir, kernelName)), m.format(ctx, dir))
	})
	if err != nil {
		return "", fmt.Errorf("making the machine's disk: %w", err)
	}
	return dir, nil
}

// format makes the disk in a folder. It is this user's, and so is the disk.
func (m Machine) format(ctx context.Context, dir string) error {
	c := container.Container{
		Image: m.Tools, Label: m.Owner, Network: "none", User: container.Caller(), Remove: true,
		Env:     []string{"LC_ALL=C.UTF-8"}, // for the names in the tarball
		Volumes: []string{m.Root + ":/in:ro", dir + ":/out"},
	}
	return c.Run(makeDisk...).Run(ctx)
}

// takeKernel takes the kernel, of which there must be one, out of a root's
// tarball.
func takeKernel(tarball, to string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer file.Close()
	for archive := tar.NewReader(file); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s has no kernel", tarball)
		}
		if err != nil {
			return fmt.Errorf("looking for a kernel in %s: %w", tarball, err)
		}
		if strings.HasPrefix(path.Clean(header.Name), "boot/vmlinuz-") {
			return artifact.Write(to, 0o644, func(w io.Writer) error {
				_, err := io.Copy(w, archive)
				return err
			})
		}
	}
}
