// Package payload is what a container of a test gets before it starts: packages,
// scripts, and the units that these need.
package payload

import (
	"archive/tar"
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
)

// inside is where packages and scenarios are in a container. It is neither
// /tmp nor /run, which a reboot empties.
const inside = "opt/spire-packages"

// Payload is for one container.
type Payload struct {
	Packages []string // files
	// Folders are folders of scripts and of what these read, by their names inside.
	Folders map[string]string
	// Web is whether the container has a socket to serve; see WebVolume.
	Web bool
	// Emulated is whether its programs are another architecture's.
	Emulated bool
	// Peer is whether it does what another container on its network says.
	Peer bool
}

// Script is the command that runs one of the folder scenarios.
func Script(name string) []string {
	// Both streams as one, joined inside: Docker carries them apart, and on a
	// busy host the error can come out before what led to it.
	return []string{"/bin/sh", "-c", `exec /bin/sh "$0" 2>&1`, "/" + inside + "/scenarios/" + name + ".sh"}
}

// Deliver copies the payload into the container, in one stream, so that owner and mode
// do not depend on who runs this.
func (p Payload) Deliver(ctx context.Context, c container.Container) error {
	return c.Put().Feed(ctx, p.pack)
}

// unitDir is where a machine's own units are.
const unitDir = "etc/systemd/system"

// unit is a file for systemd.
type unit struct{ name, text string }

// units are those that a container needs for what it is given.
func (p Payload) units() []unit {
	var units []unit
	if p.Web {
		units = append(units, webUnits()...)
	}
	if p.Emulated {
		units = append(units, emulator)
	}
	if p.Peer {
		units = append(units, peerUnits()...)
	}
	return units
}

// emulator is the drop-in by which any service may be an emulated program: the
// emulator writes the machine's code as it goes.
var emulator = unit{"service.d/emulated.conf", "[Service]\nMemoryDenyWriteExecute=no\n"}

// generatorDir is where links to nothing keep systemd from its generators, and
// generators are those that look for hardware and for what the kernel was told, which
// are not the container's. All are run at each daemon-reload, of which an installation
// has several.
const generatorDir = "etc/systemd/system-generators"

var generators = []string{
	"cryptsetup", "debug", "fstab", "getty", "gpt-auto", "hibernate-resume", "integritysetup",
	"run", "ssh", "system-update", "tpm2", "veritysetup",
}

// packMasks keeps systemd from what is no business of a container.
func packMasks(archive *tar.Writer) error {
	masked := []string{path.Join(unitDir, "systemd-modules-load.service")}
	for _, name := range generators {
		masked = append(masked, path.Join(generatorDir, "systemd-"+name+"-generator"))
	}
	for _, name := range masked {
		if err := packLink(archive, name, "/dev/null"); err != nil {
			return err
		}
	}
	return nil
}

// pack writes the tar stream. An empty /var/log/journal makes journald keep
// its journal on disk, over a reboot of the container. Kernel modules are the
// host's to load: from systemd 257 on, a container's unit for it fails.
func (p Payload) pack(w io.Writer) error {
	archive := tar.NewWriter(w)
	names := slices.Sorted(maps.Keys(p.Folders))
	dirs := []string{"var/log/journal", generatorDir, inside, path.Join(inside, "packages")}
	for _, name := range names {
		dirs = append(dirs, path.Join(inside, name))
	}
	for _, dir := range dirs {
		if err := packDir(archive, dir); err != nil {
			return err
		}
	}
	if err := packMasks(archive); err != nil {
		return err
	}
	for _, u := range p.units() {
		if err := packText(archive, path.Join(unitDir, u.name), u.text); err != nil {
			return err
		}
	}
	for _, file := range p.Packages {
		if err := packFile(archive, path.Join(inside, "packages", filepath.Base(file)), file); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := packTree(archive, path.Join(inside, name), p.Folders[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func packTree(archive *tar.Writer, to, from string) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, file)
		if err != nil || name == "." {
			return err
		}
		if entry.IsDir() {
			return packDir(archive, path.Join(to, filepath.ToSlash(name)))
		}
		return packFile(archive, path.Join(to, filepath.ToSlash(name)), file)
	})
}

func packDir(archive *tar.Writer, name string) error {
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func packLink(archive *tar.Writer, name, to string) error {
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to})
}

func packText(archive *tar.Writer, name, text string) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(text))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.WriteString(archive, text)
	return err
}

func packFile(archive *tar.Writer, name, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755 // a program, for any user
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size(), ModTime: info.ModTime()}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
