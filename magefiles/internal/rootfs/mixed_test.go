package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// tarOf writes a tarball of the named files, each with the given content.
func tarOf(t *testing.T, content string, names ...string) string {
	t.Helper()
	var stream bytes.Buffer
	archive := tar.NewWriter(&stream)
	for _, name := range names {
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "root.tar")
	write(t, path, stream.String())
	return path
}

// eachMember hands on each member of a tar stream.
func eachMember(t *testing.T, stream io.Reader, use func(header *tar.Header, content string)) {
	t.Helper()
	for archive := tar.NewReader(stream); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		use(header, string(content))
	}
}

func TestMix(t *testing.T) {
	libraries := "./usr/lib/" + architecture.Own().GNU + "/libc.so.6"
	foreign := tarOf(t, "foreign", "./usr/bin/dpkg", "./usr/bin/systemctl", "./usr/lib/systemd/systemd", "./etc/passwd")
	native := tarOf(t, "native", "./usr/bin/dpkg", "./usr/bin/systemctl", "./usr/bin/systemd-run", "./usr/lib/systemd/systemd",
		"./usr/lib/systemdx", libraries, "./usr/lib64/ld-linux-x86-64.so.2", "./etc/passwd")
	var stream bytes.Buffer
	if err := mix(&stream, foreign, native); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	eachMember(t, &stream, func(header *tar.Header, content string) {
		if _, twice := got[header.Name]; twice {
			t.Errorf("%s is in it twice, which Docker refuses", header.Name)
		}
		got[header.Name] = content
	})
	for name, want := range map[string]string{
		"./usr/bin/dpkg": "foreign", "./etc/passwd": "foreign", "./usr/lib/systemdx": "",
		"./usr/bin/systemctl": "native", "./usr/bin/systemd-run": "native", "./usr/lib/systemd/systemd": "native",
		libraries: "native", "./usr/lib64/ld-linux-x86-64.so.2": "native",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func TestMixOfBrokenRoot(t *testing.T) {
	whole := tarOf(t, "whole", "./etc/passwd")
	broken := filepath.Join(t.TempDir(), "broken.tar")
	write(t, broken, strings.Repeat("no tar ", 200))
	for _, pair := range [][2]string{{broken, whole}, {whole, broken}} {
		if err := mix(io.Discard, pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%v, want an error that names %s", err, broken)
		}
	}
}

func TestRecipeOfAnotherArchitecture(t *testing.T) {
	foreign := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	row := matrix.Distribution{Name: "debian-13", Image: matrix.Image{Suite: "trixie"}}
	m, ok := recipeOf(matrix.Target{Distribution: row, Arch: foreign}).(mixed)
	if !ok || m.arch != foreign || m.native.arch != runtime.GOARCH {
		t.Errorf("%+v, want %s's root with %s's systemd", m, foreign, runtime.GOARCH)
	}
	if _, ok := recipeOf(matrix.Target{Distribution: row, Arch: runtime.GOARCH}).(debian); !ok {
		t.Error("this machine's own root is not as it is made")
	}
}
