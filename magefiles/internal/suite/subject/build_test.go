package subject

import (
	"fmt"
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

func TestFiles(t *testing.T) {
	b := Build{}
	for _, name := range []string{"x.deb", "x.rpm", "x.build.json", "deb"} {
		b.Result.Files = append(b.Result.Files, artifact.File{Path: "/first/dist/1.13.3/" + name})
	}
	if got := b.Files("deb"); !slices.Equal(got, []string{"/first/dist/1.13.3/x.deb"}) {
		t.Errorf("debs %v", got)
	}
}

func TestSources(t *testing.T) {
	b := Build{}
	for _, name := range []string{"x.deb", "x.rpm", "x.src.rpm", "x.dsc", "x.orig.tar.xz", "x.debian.tar.xz", "x_source.changes", "x.build.json"} {
		b.Result.Files = append(b.Result.Files, artifact.File{Path: "/" + name})
	}
	for format, want := range map[string]string{
		pkgdef.Deb: "[/x.orig.tar.xz /x.debian.tar.xz /x.dsc]",
		pkgdef.RPM: "[/x.src.rpm]",
	} {
		if got := fmt.Sprint(b.Sources(format)); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
	if got := fmt.Sprint(b.Files("rpm")); got != "[/x.rpm]" {
		t.Errorf("rpms to install: %s", got)
	}
}
