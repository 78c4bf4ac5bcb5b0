package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
)

// mixed is a root of another architecture in which systemd is this machine's
// own, with the libraries that it needs; all else, the package manager, the
// shell and what the packages bring, runs by the emulator. QEMU's user mode
// cannot run systemd as our units need it: recvmsg without a buffer, by which
// services share a namespace, gives nothing (QEMU 7.2 and 10.0), and systemd
// 254 and later start no service at all.
type mixed struct {
	debian
	native debian
}

func newMixed(d debian) mixed {
	return mixed{debian: d, native: debian{image: d.image, arch: runtime.GOARCH}}
}

// tag names the image; its root's hash stands for the native one too, which is
// of the same recipe.
func (x mixed) tag() string { return x.debian.tag() + "-native-systemd" }

// provide makes an image of both tarballs.
func (x mixed) provide(ctx context.Context, m *Maker) error {
	foreign, err := x.tarball(ctx, m.Cache, m.Log)
	if err != nil {
		return err
	}
	native, err := x.native.tarball(ctx, m.Cache, m.Log)
	if err != nil {
		return err
	}
	return container.Import("-", x.tag()).Feed(ctx, func(w io.Writer) error { return mix(w, foreign, native) })
}

// mix writes a tar stream of what is systemd's in the native tarball, and of all
// else in the foreign one. No name is in it twice, which Docker refuses.
func mix(w io.Writer, foreign, native string) error {
	archive := tar.NewWriter(w)
	written := map[string]bool{}
	if err := copyMembers(archive, native, systemds, written); err != nil {
		return err
	}
	all := func(string) bool { return true }
	if err := copyMembers(archive, foreign, all, written); err != nil {
		return err
	}
	return archive.Close()
}

// copyMembers copies the wanted members whose names are not written yet.
func copyMembers(to *tar.Writer, tarball string, wanted func(name string) bool, written map[string]bool) error {
	file, err := os.Open(tarball)
	if err != nil {
		return fmt.Errorf("reading a root: %w", err)
	}
	defer file.Close()
	for from := tar.NewReader(file); ; {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the root %s: %w", tarball, err)
		}
		name := path.Clean(header.Name)
		if !wanted(name) || written[name] {
			continue
		}
		written[name] = true
		if err := to.WriteHeader(header); err != nil {
			return fmt.Errorf("copying %s of the root %s: %w", header.Name, tarball, err)
		}
		if _, err := io.Copy(to, from); err != nil {
			return fmt.Errorf("copying %s of the root %s: %w", header.Name, tarball, err)
		}
	}
}

// systemds says whether a path of a Debian root belongs to systemd, to the
// libraries of this machine's architecture or to their loader. Debian keeps
// each architecture's libraries in a folder of its own.
func systemds(name string) bool {
	libraries := "usr/lib/" + architecture.Own().GNU
	for _, folder := range []string{"usr/lib/systemd", libraries, "usr/lib64"} {
		if name == folder || strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	switch name {
	case "lib64", "usr/bin/systemctl", "usr/bin/journalctl":
		return true
	}
	// arm64's loader is beside the folders of libraries.
	return strings.HasPrefix(name, "usr/bin/systemd-") || strings.HasPrefix(name, "usr/lib/ld-linux-")
}
