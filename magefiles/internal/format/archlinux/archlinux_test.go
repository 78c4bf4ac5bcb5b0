package archlinux

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// everything is what the scriptlets know of a package that has all there is.
func everything() scriptlets.Data {
	return scriptlets.Data{
		Name: "demo", Version: "1.13.3", Sysusers: true, Tmpfiles: true,
		SysusersLines: []scriptlets.SysusersLine{{Type: "u", Name: "demo", ID: "-", Gecos: "A demo", Home: "/var/lib/demo", Shell: "/usr/sbin/nologin"}},
		Units:         []string{"demo.service", "demo@.service", "all.target"}, Services: []string{"demo.service", "demo@*.service"}, Shared: []string{"all.target"},
		Config: []string{"/etc/demo/demo.conf"}, Keep: []string{"/var/lib/demo"},
	}
}

// demo is a small package with an entry of each kind, its files in dir.
func demo(t *testing.T, dir string) kit.Item {
	t.Helper()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	texts, err := scriptlets.Render(Format.Scripts, everything())
	if err != nil {
		t.Fatal(err)
	}
	return kit.Item{
		Source:  pkgdef.Source{Title: "SPIRE", Name: "up", Release: 2, Homepage: "https://example.org/", Maintainer: "Somebody <somebody@example.org>"},
		Package: pkgdef.Package{Name: "demo", Summary: "Demonstration", Description: "It shows.\n\nMore.\n", Succeeds: []string{"old-demo"}},
		Tree:    artifact.Tree{Version: "1.13.3", Verified: true, Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)},
		Binary:  artifact.Binary{Name: "demod", Arch: "amd64", Path: file("demod", "#!/bin/sh\necho demo\n")},
		License: "Apache-2.0 AND MIT", Scriptlets: texts,
		Payload: []pkgdef.Entry{
			{Path: "/etc/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/etc/demo/demo.conf", Kind: pkgdef.Conf, Mode: 0o640, From: file("demo.conf", "a = 1\n")},
			{Path: "/usr/bin/demo", Kind: pkgdef.File, Mode: 0o755, From: filepath.Join(dir, "demod")},
			{Path: "/usr/share/licenses/demo/LICENSE", Kind: pkgdef.License, Mode: 0o644, From: file("LICENSE", "free\n")},
			{Path: "/usr/share/man/man1/demo.1.gz", Kind: pkgdef.Doc, Mode: 0o644, From: file("demo.1.gz", "zipped\n")},
		},
	}
}

// packaged writes the package under its own name.
func packaged(t *testing.T, item kit.Item) string {
	t.Helper()
	name, err := Format.FileName(item)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Format.Write(&b, item, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What was packed is what is read back.
func TestPackage(t *testing.T) {
	path := packaged(t, demo(t, t.TempDir()))
	if got := filepath.Base(path); got != "demo-1.13.3-2-x86_64.pkg.tar.zst" || !Format.Is(got) {
		t.Errorf("name %s", got)
	}
	m, err := Format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if m[Format.NameItem] != "demo" {
		t.Errorf("its name is %q", m[Format.NameItem])
	}
	var b strings.Builder
	for _, item := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s: %s\n", item, m[item])
	}
	golden.Check(t, "demo.golden", b.String())
}

// bash, by which pacman runs them, takes the functions; none is empty.
func TestInstall(t *testing.T) {
	for name, data := range map[string]scriptlets.Data{"everything": everything(), "little": {Name: "demo", Version: "1.13.3"}} {
		item := demo(t, t.TempDir())
		var err error
		if item.Scriptlets, err = scriptlets.Render(Format.Scripts, data); err != nil {
			t.Fatal(err)
		}
		m, err := Format.Read(t.Context(), packaged(t, item))
		if err != nil {
			t.Fatal(err)
		}
		install := filepath.Join(t.TempDir(), "install")
		if err := os.WriteFile(install, []byte(m["scriptlet .INSTALL"]), 0o644); err != nil {
			t.Fatal(err)
		}
		said, err := run.New("bash", "-c", `. "$0"; type post_install post_upgrade pre_remove post_remove >/dev/null; post_install() { echo "installed $1"; }; post_upgrade 1.13.3-2 1.11.0-1 2>&1`, install).Combined(t.Context())
		if err != nil || !strings.Contains(said, "from 1.11.0-1 to 1.13.3 is more than one minor version") || !strings.Contains(said, "installed 1.13.3-2") {
			t.Errorf("%s: %v: %s", name, err, said)
		}
	}
}

// What nobody vouches for says so, and is older than the release.
func TestUnverified(t *testing.T) {
	item := demo(t, t.TempDir())
	item.Tree.Verified, item.Binary.Arch = false, "arm64"
	path := packaged(t, item)
	m, err := Format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(path); name != "demo-1.13.3unverified-2-aarch64.pkg.tar.zst" || m["field pkgver"] != "1.13.3unverified-2" {
		t.Errorf("%s has the version %q", name, m["field pkgver"])
	}
	if want := "Demonstration. BUILT FROM UNVERIFIED SOURCE: no checksum database vouches for it."; m["field pkgdesc"] != want {
		t.Errorf("description %q, want %q", m["field pkgdesc"], want)
	}
}

// Whatever the processors, the same bytes.
func TestReproducible(t *testing.T) {
	large := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(large)
	copy(large[2<<20:], make([]byte, 2<<20)) // some of it is easy
	var all [][]byte
	for _, processors := range []int{1, 8} {
		before := runtime.GOMAXPROCS(processors)
		item := demo(t, t.TempDir())
		if err := os.WriteFile(item.Binary.Path, large, 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(packaged(t, item))
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Errorf("%d and %d bytes that differ", len(all[0]), len(all[1]))
	}
}

func TestReadBad(t *testing.T) {
	for name, content := range map[string]string{"text": "no package", "nothing": ""} {
		path := filepath.Join(t.TempDir(), "demo-1-1-any.pkg.tar.zst")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Format.Read(t.Context(), path); err == nil || !strings.Contains(err.Error(), "demo-1-1-any") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := (reading{}).info("pkgname: demo\n"); err == nil || !strings.Contains(err.Error(), `"pkgname: demo" is no line of a .PKGINFO`) {
		t.Error(err)
	}
}
