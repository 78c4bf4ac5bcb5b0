package apk

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/formattest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// What was packed is what is read back.
func TestPackage(t *testing.T) {
	path := formattest.Packaged(t, Format, formattest.Demo(t, Format, t.TempDir()))
	if got := filepath.Base(path); got != "demo_1.13.3-r2_x86_64.apk" || !Format.Is(got) {
		t.Errorf("name %s", got)
	}
	golden.Check(t, "demo.golden", formattest.ReadBack(t, Format, path))
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
	if name := filepath.Base(path); name != "demo_1.13.3_pre-r2_aarch64.apk" || m["field pkgver"] != "1.13.3_pre-r2" {
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

// A file that was changed anywhere, or cut short, is not read.
func TestReadBad(t *testing.T) {
	path := formattest.Packaged(t, Format, formattest.Demo(t, Format, t.TempDir()))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := apkfile.Read(good)
	if err != nil {
		t.Fatal(err)
	}
	other := formattest.Demo(t, Format, t.TempDir())
	other.Binary.Arch = "arm64" // and so of other words, and the same payload but for a byte
	if err := os.WriteFile(other.Binary.Path, []byte("#!/bin/sh\necho Demo\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(formattest.Packaged(t, Format, other))
	if err != nil {
		t.Fatal(err)
	}
	others, err := apkfile.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"text": {[]byte("no package"), "reading a part of it"}, "nothing": {nil, "0 parts"},
		"cut short":       {good[:len(good)-20], "reading a part of it"},
		"another payload": {slices.Concat(file.Control, others.Data), "checksum mismatch: what it installs"},
		"no payload":      {file.Control, "checksum mismatch: what it installs"},
		"more":            {slices.Concat(good, file.Data), "3 parts"},
	} {
		bad := filepath.Join(t.TempDir(), "demo_1-r1_noarch.apk")
		if err := os.WriteFile(bad, c.content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Format.Read(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "demo_1-r1_noarch") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

// A shell takes the scriptlets, and each ends well where there is nothing to do.
func TestScriptlets(t *testing.T) {
	for name, data := range map[string]scriptlets.Data{"everything": formattest.Everything(), "little": {Name: "demo", Version: "1.13.3"}} {
		texts, err := scriptlets.Render(Format.Scripts, data)
		if err != nil {
			t.Fatal(err)
		}
		for script, text := range texts {
			if script == "post-deinstall" && name == "everything" {
				continue // it removes below /run
			}
			// As if the user were there, and OpenRC were not.
			said, err := run.New("sh", "-euc", "id() { :; }; command() { false; }\n"+text, script, "1.13.3-r2", "1.13.2-r1").Combined(t.Context())
			if err != nil || said != "" {
				t.Errorf("%s, %s: %v: %s", name, script, err, said)
			}
		}
	}
}

// Who leaves a minor version out is told, by the versions as apk gives them.
func TestJump(t *testing.T) {
	data := scriptlets.Data{Name: "demo", Version: "1.13.3", Steps: scriptlets.Steps{Rule: []string{"One a step."}, Advice: []string{"Go back."}}}
	texts, err := scriptlets.Render(Format.Scripts, data)
	if err != nil {
		t.Fatal(err)
	}
	for old, want := range map[string]string{
		"1.11.0-r1": "demo: warning: from 1.11.0-r1 to 1.13.3 is more than one minor version.\n  Go back.\n", "1.12.9-r7": "", "1.13.3_pre-r1": "", "": "",
	} {
		said, err := run.New("sh", "-euc", texts["post-upgrade"], "post-upgrade", "1.13.3-r2", old).Combined(t.Context())
		if err != nil || said != want {
			t.Errorf("from %s: %v: %q", old, err, said)
		}
	}
}

// A package without a program brings along what it is good for: there is no weaker word.
func TestBringsAlong(t *testing.T) {
	item := formattest.Demo(t, Format, t.TempDir())
	item.Package.Command, item.Package.Recommends, item.Binary = "", []string{"one", "two"}, artifact.Binary{Arch: pkgdef.EveryArch}
	item.Payload = item.Payload[:1]
	path := formattest.Packaged(t, Format, item)
	m, err := Format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, one := m["depend one"]
	_, two := m["depend two"]
	if filepath.Base(path) != "demo_1.13.3-r2_noarch.apk" || m["field arch"] != "noarch" || !one || !two {
		t.Errorf("%s: %v", path, m)
	}
}
