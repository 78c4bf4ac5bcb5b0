package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Shorter and longer names move what lies behind them, and rpm finds every
// digest, value and file right all the same.
func TestSetSourceRPM(t *testing.T) {
	need(t, "rpm")
	item := demo(t, t.TempDir(), pkgdef.RPM)
	before := packaged(t, pkgdef.RPM, item)
	content, err := os.ReadFile(before)
	if err != nil {
		t.Fatal(err)
	}
	query := func(path string) string {
		return output(t, "rpm", "-qp", path, "--qf", rpmFiles, "--provides", "--requires", "--scripts", "--changelog")
	}
	for _, name := range []string{"u-1-1.src.rpm", "a-much-longer-name-than-the-packages-own-13-characters-1.13.3-2.src.rpm", strings.Repeat("x", 301)} {
		changed, err := setSourceRPM(content, name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.rpm")
		if err := os.WriteFile(path, changed, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := output(t, "rpm", "-qp", "--qf", "%{SOURCERPM}", path); got != name {
			t.Errorf("source package %q, want %q", got, name)
		}
		if out := output(t, "rpmkeys", "-K", "--define", "_pkgverify_level digest", path); !strings.Contains(out, "digests OK") {
			t.Errorf("rpmkeys says %q", out)
		}
		if query(path) != query(before) {
			t.Errorf("more than the name changed:\n%s", query(path))
		}
		back, err := setSourceRPM(changed, SourceRPM(item))
		if err != nil || !bytes.Equal(back, content) {
			t.Errorf("changed back, other bytes, or %v", err)
		}
	}
}

// What is no rpm, or cut short anywhere in its headers, is an error.
func TestSetSourceRPMDamaged(t *testing.T) {
	content := written(t, pkgdef.RPM, demo(t, t.TempDir(), pkgdef.RPM))
	_, size, err := readHeader(content[leadSize:])
	if err != nil {
		t.Fatal(err)
	}
	begin := leadSize + size + padding(size, 8)
	_, size, err = readHeader(content[begin:])
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < begin+size; n += 7 {
		if _, err := setSourceRPM(content[:n], "x.src.rpm"); err == nil {
			t.Fatalf("the first %d bytes of %d are taken for an rpm", n, begin+size)
		}
	}
	if _, err := setSourceRPM([]byte(strings.Repeat("no rpm", 100)), "x.src.rpm"); err == nil {
		t.Error("text is taken for an rpm")
	}
}
