package archlinux

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/formattest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// What was packed is what is read back.
func TestPackage(t *testing.T) {
	path := formattest.Packaged(t, Format, formattest.Demo(t, Format, t.TempDir()))
	if got := filepath.Base(path); got != "demo-1.13.3-2-x86_64.pkg.tar.zst" || !Format.Is(got) {
		t.Errorf("name %s", got)
	}
	golden.Check(t, "demo.golden", formattest.ReadBack(t, Format, path))
}

// bash, by which pacman runs them, takes the functions; none is empty.
func TestInstall(t *testing.T) {
	for name, data := range map[string]scriptlets.Data{"everything": formattest.Everything(), "little": {Name: "demo", Version: "1.13.3"}} {
		item := formattest.Demo(t, Format, t.TempDir())
		var err error
		if item.Scriptlets, err = scriptlets.Render(Format.Scripts, data); err != nil {
			t.Fatal(err)
		}
		m, err := Format.Read(t.Context(), formattest.Packaged(t, Format, item))
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
	item := formattest.Demo(t, Format, t.TempDir())
	item.Tree.Verified, item.Binary.Arch = false, "arm64"
	path := formattest.Packaged(t, Format, item)
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
		item := formattest.Demo(t, Format, t.TempDir())
		if err := os.WriteFile(item.Binary.Path, large, 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(formattest.Packaged(t, Format, item))
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
