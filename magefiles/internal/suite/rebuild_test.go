package suite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// What fails at a place that only informs is neither a pass nor a failure.
func TestVerdict(t *testing.T) {
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		tier distro.Tier
		err  error
		want string
	}{
		"pass":            {distro.Blocking, nil, "<nil>"},
		"failure":         {distro.Blocking, wrong, "*errors.errorString"},
		"informing":       {distro.Informing, wrong, "tally.Skip"},
		"informing, pass": {distro.Informing, nil, "<nil>"},
		"cannot":          {distro.Blocking, fmt.Errorf("x: %w", distro.ErrSkip), "tally.Skip"},
	} {
		if got := fmt.Sprintf("%T", verdict(distro.Rebuild{Tier: c.tier}, c.err)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.deb", "a-dbgsym.deb"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := nothingElse(dir, []string{"/dist/a.deb", "/dist/a-dbgsym.deb"}); err != nil {
		t.Error(err)
	}
	if err := nothingElse(dir, []string{"/dist/a.deb"}); err == nil || !strings.Contains(err.Error(), "a-dbgsym.deb") {
		t.Errorf("error %v", err)
	}
}

func TestSources(t *testing.T) {
	b := built{}
	for _, name := range []string{"x.deb", "x.rpm", "x.src.rpm", "x.dsc", "x.orig.tar.xz", "x.debian.tar.xz", "x_source.changes", "x.build.json"} {
		b.result.Files = append(b.result.Files, artifact.File{Path: "/" + name})
	}
	for format, want := range map[string]string{
		pkgdef.Deb: "[/x.orig.tar.xz /x.debian.tar.xz /x.dsc]",
		pkgdef.RPM: "[/x.src.rpm]",
	} {
		if got := fmt.Sprint(b.sources(format)); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
	if got := fmt.Sprint(b.files("rpm")); got != "[/x.rpm]" {
		t.Errorf("rpms to install: %s", got)
	}
}
