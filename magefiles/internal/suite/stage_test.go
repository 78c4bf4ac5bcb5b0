package suite

import (
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

func TestEarlier(t *testing.T) {
	known := map[string]pkgdef.Pin{}
	for _, number := range []string{"1.11.9", "1.12.2", "1.12.10", "1.13.0", "1.13.2", "1.13.3", "1.14.0", "2.12.0"} {
		known[number] = pkgdef.Pin{}
	}
	for under, want := range map[string][]string{
		"1.13.3": {"1.12.10", "1.13.0"},
		"1.13.1": {"1.12.10", "1.13.0"},
		"1.13.0": {"1.12.10"},
		"1.11.9": nil,
		"1.16.0": nil, // nothing that leads to it is known
		"2.13.0": {"2.12.0"},
	} {
		if got := earlier(pkgdef.Source{Releases: known}, under); !slices.Equal(got, want) {
			t.Errorf("%s is upgraded from %q, want %q", under, got, want)
		}
	}
}

// What other machines built is the version under test only.
func TestEarlierBuild(t *testing.T) {
	s := Suite{Root: checkout, Pipeline: pipeline.Pipeline{Root: checkout, Dist: artifact.Dist(t.TempDir())}}
	under := pipeline.Options{Version: "1.13.3", Arches: []string{"arm64"}, Prebuilt: "elsewhere"}
	p, o, err := s.earlierBuild(t.Context(), under, "1.12.2", false, "")
	if err != nil || o.Version != "1.12.2" || o.Prebuilt != "" || !slices.Equal(o.Arches, under.Arches) || p.Root != checkout || p.Dist == s.Pipeline.Dist {
		t.Errorf("%v: %+v, %+v", err, p, o)
	}
}

func TestListing(t *testing.T) {
	got := listing(manifest.Manifest{
		"file /":             "drwxr-xr-x root:root to= time=1",
		"file /usr/bin/x":    "-rwxr-xr-x root:root flags= verify=1 to= time=1",
		"content /usr/bin/x": "abc",
		"file /etc/y":        "drwxr-xr-x root:daemon to= time=1",
		"file /usr/bin/link": "Lrwxrwxrwx root:root to=x time=1",
		"file /usr/bin/lnk2": "lrwxrwxrwx root:root flags= to=x time=1",
		"file /var/ghost":    "drwxr-xr-x root:root flags=g verify=1 to= time=1",
		"field Package":      "x",
	})
	want := "-rwxr-xr-x root/root abc /usr/bin/x\ndrwxr-xr-x root/daemon - /etc/y\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
