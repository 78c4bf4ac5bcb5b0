package archlinux

import (
	"bytes"
	"errors"
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

// What was there before the package under names of its own is the admin's: neither is it
// stopped, unless it runs the package's program, nor is it disabled.
func TestRemoval(t *testing.T) {
	const opt, copied = "ExecStart=/opt/demo/demo run\n", "ExecStart=/usr/bin/demo run\n"
	for name, c := range map[string]struct{ units, links, want map[string]string }{
		"nothing of the admin's": {
			links: map[string]string{"demo.service": "/usr/lib/systemd/system/demo.service", "demo@one.service": "/usr/lib/systemd/system/demo@.service"},
			want:  map[string]string{"stop": "demo.service demo@main.service all.target", "disable": "demo.service demo@one.service"},
		},
		"a unit": {
			units: map[string]string{"demo.service": opt}, links: map[string]string{"demo.service": "../demo.service", "all.target": "/usr/lib/systemd/system/all.target"},
			want: map[string]string{"stop": "demo@main.service all.target", "disable": "all.target"},
		},
		"a template": {
			units: map[string]string{"demo@.service": opt}, links: map[string]string{"demo@main.service": "/etc/systemd/system/demo@.service"},
			want: map[string]string{"stop": "demo.service all.target", "disable": ""},
		},
		"a copy of the package's": {
			units: map[string]string{"demo.service": copied}, links: map[string]string{"demo.service": "/etc/systemd/system/demo.service"},
			want: map[string]string{"stop": "demo.service demo@main.service all.target", "disable": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := removed(t, c.units, c.links)
			for verb, want := range c.want {
				var units []string
				for line := range strings.Lines(said) {
					if _, after, ok := strings.Cut(strings.TrimSpace(line), verb+" "); ok {
						units = append(units, after)
					}
				}
				if got := strings.Join(units, " "); got != want {
					t.Errorf("%s %q, want %q; it called:\n%s", verb, got, want, said)
				}
			}
		})
	}
}

// removed are the calls of systemctl's at a removal, where the admin has these units, and
// these links enable what they lead to.
func removed(t *testing.T, units, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	own, wants := filepath.Join(root, "etc/systemd/system"), filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	err := errors.Join(os.MkdirAll(wants, 0o755), os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755))
	for unit, text := range units {
		err = errors.Join(err, os.WriteFile(filepath.Join(own, unit), []byte(text), 0o644))
	}
	for link, target := range links {
		err = errors.Join(err, os.Symlink(target, filepath.Join(wants, link)))
	}
	if err != nil {
		t.Fatal(err)
	}
	texts, err := scriptlets.Render(Format.Scripts, formattest.Everything())
	if err != nil {
		t.Fatal(err)
	}
	// What a link says is compared, not opened: /usr/lib stays.
	script := strings.NewReplacer("/etc/systemd/", root+"/etc/systemd/", "/run/systemd/", root+"/run/systemd/", "/usr/local/", root+"/usr/local/").Replace(texts["pre_remove"])
	said, err := run.New("bash", "-c", `exec 3>&1
systemctl() {
  case "$*" in
    list-units*) printf '%s loaded active running Unit\n' demo.service demo@main.service all.target ;;
    *) echo "$*" >&3 ;;
  esac
}
pre_remove() {
`+script+"\n}\npre_remove 1.13.3-2").Combined(t.Context())
	if err != nil {
		t.Errorf("%v: %s", err, said)
	}
	return said
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
