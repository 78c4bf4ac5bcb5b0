package suite

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPack: what comes out is what went in: modes, hidden files, links, empty folders.
func TestPack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "from")
	if err := errors.Join(
		os.MkdirAll(filepath.Join(dir, ".work", "bin"), 0o755), os.MkdirAll(filepath.Join(dir, "empty"), 0o750),
		os.WriteFile(filepath.Join(dir, ".work", "bin", "spire-server"), []byte("program"), 0o755), //nolint:gosec // a program
		os.WriteFile(filepath.Join(dir, ".hidden"), []byte("text"), 0o600), os.Symlink("spire-server", filepath.Join(dir, ".work", "bin", "link")),
	); err != nil {
		t.Fatal(err)
	}
	file, to := filepath.Join(t.TempDir(), "earlier.tar"), filepath.Join(t.TempDir(), "to")
	if err := errors.Join(pack(dir, file), os.Mkdir(to, 0o755), os.WriteFile(filepath.Join(to, "stale"), nil, 0o600), unpack(file, to)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{".work/bin/spire-server": "-rwxr-xr-x", ".hidden": "-rw-------", ".work/bin/link": "Lrwxrwxrwx", "empty": "drwxr-x---", "stale": ""} {
		info, err := os.Lstat(filepath.Join(to, name))
		got := ""
		if err == nil {
			got = info.Mode().String()
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, want)
		}
	}
	if content, err := os.ReadFile(filepath.Join(to, ".work", "bin", "link")); string(content) != "program" {
		t.Errorf("the link leads to %q, %v", content, err)
	}
}

// TestUnpackRefuses: nothing leaves the folder.
func TestUnpackRefuses(t *testing.T) {
	for name, header := range map[string]tar.Header{
		"above":    {Name: "../out", Typeflag: tar.TypeReg, Mode: 0o644},
		"absolute": {Name: "/out", Typeflag: tar.TypeReg, Mode: 0o644},
		"a device": {Name: "device", Typeflag: tar.TypeChar, Mode: 0o644},
	} {
		dir := t.TempDir()
		file, err := os.Create(filepath.Join(dir, "bad.tar"))
		if err != nil {
			t.Fatal(err)
		}
		packed := tar.NewWriter(file)
		if err := errors.Join(packed.WriteHeader(&header), packed.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
		err = unpack(file.Name(), filepath.Join(dir, "to"))
		if err == nil || !strings.Contains(err.Error(), "unpacking") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
			t.Errorf("%s: it got out", name)
		}
	}
}
