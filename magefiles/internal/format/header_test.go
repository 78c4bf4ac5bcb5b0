package format

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/rpm"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
)

// Shorter and longer names move what lies behind them, and rpm finds every
// digest, value and file right all the same.
func TestSourceRPM(t *testing.T) {
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
	renamed := func(content []byte, name string) []byte {
		file, err := rpmfile.Read(content)
		if err != nil {
			t.Fatal(err)
		}
		if file, err = file.Mended(name); err != nil {
			t.Fatal(err)
		}
		return file.Bytes()
	}
	for _, name := range []string{"u-1-1.src.rpm", "a-much-longer-name-than-the-packages-own-13-characters-1.13.3-2.src.rpm", strings.Repeat("x", 301)} {
		changed := renamed(content, name)
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
		if !bytes.Equal(renamed(changed, rpm.SourceRPM(item)), content) {
			t.Error("changed back, other bytes")
		}
	}
}

// nfpm writes the signatures' header as rpm itself does: signed, and the
// signature taken out again by anyone who has rpm, it is the file that was built.
func TestUnsigned(t *testing.T) {
	need(t, "rpmsign")
	path := packaged(t, pkgdef.RPM, demo(t, t.TempDir(), pkgdef.RPM))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := rpmfile.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Check(); err != nil {
		t.Error(err)
	}
	signed, err := file.Sign([]byte("signature"))
	if err != nil {
		t.Fatal(err)
	}
	if back, err := signed.Unsigned(); err != nil || !bytes.Equal(back.Bytes(), content) {
		t.Errorf("signed and unsigned, other bytes, or %v", err)
	}
	output(t, "rpmsign", "--delsign", path)
	if back, err := os.ReadFile(path); err != nil || !bytes.Equal(back, content) {
		t.Errorf("rpmsign --delsign leaves other bytes, or %v", err)
	}
}
