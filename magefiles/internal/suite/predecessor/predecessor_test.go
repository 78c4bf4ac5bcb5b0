package predecessor

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

func TestEarlier(t *testing.T) {
	numbers := []string{"1.11.9", "1.12.2", "1.12.10", "1.13.0", "v1.13.0", "1.13.2", "1.13.3", "v1.14.0-rc1", "1.14.0", "2.12.0", "main"}
	for under, want := range map[string][]string{
		"1.13.3": {"1.12.10", "1.13.0"},
		"1.13.1": {"1.12.10", "1.13.0"},
		"1.13.0": {"1.12.10"},
		"1.14.0": {"1.13.3"}, // not from a release candidate
		"1.11.9": nil,
		"1.16.0": nil, // nothing leads to it
		"2.13.0": {"2.12.0"},
	} {
		if got := earlier(numbers, under); !slices.Equal(got, want) {
			t.Errorf("%s is upgraded from %q, want %q", under, got, want)
		}
	}
}

// Of a version that is not known the module proxy is asked, here one in a folder.
func TestLeading(t *testing.T) {
	proxy := t.TempDir()
	versions := filepath.Join(proxy, "github.com", "spiffe", "spire", "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"list": "v1.14.0\nv1.14.7\nv1.15.0\nv1.15.1-rc1\nv1.15.3\n",
		// The newest says which ones were retracted.
		"v1.15.3.info": `{"Version": "v1.15.3", "Time": "2026-09-01T00:00:00Z"}`,
		"v1.15.3.mod":  "module github.com/spiffe/spire\n",
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Not what this machine has fetched before, and nobody vouches for the above.
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GONOSUMDB", "github.com/spiffe/spire")
	source := pkgdef.Source{Module: "github.com/spiffe/spire", Toolchain: pkgdef.Toolchain{Version: runtime.Version()}, Releases: map[string]pkgdef.Pin{"1.13.0": {}, "1.13.3": {}}}
	var log strings.Builder
	for _, c := range []struct {
		proxy, under string
		want         []string
		says         bool
	}{
		{"file://" + proxy, "1.15.3", []string{"1.14.7", "1.15.0"}, false},
		{"file://" + proxy, "1.14.7", []string{"1.13.3", "1.14.0"}, false},
		{"off", "1.13.3", []string{"1.13.0"}, false}, // known: nobody is asked
		{"off", "1.14.7", []string{"1.13.3"}, true},
	} {
		t.Setenv("GOPROXY", c.proxy)
		log.Reset()
		if got := Leading(t.Context(), &log, source, c.under); !slices.Equal(got, c.want) || (log.Len() > 0) != c.says {
			t.Errorf("%s by %s: %q, not %q; %s", c.under, c.proxy, got, c.want, log.String())
		}
	}
}

// What other machines built is the version under test only.
func TestEarlierBuild(t *testing.T) {
	here, err := filepath.Abs(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	under := pipeline.Options{Version: "1.13.3", Arches: []string{"arm64"}, Prebuilt: "elsewhere"}
	s := Versions{subject.Checkout{Root: here, Log: t.Output(), Pipeline: pipeline.Pipeline{Root: here, Dist: artifact.Dist(t.TempDir())}}, under}
	p, o, err := s.howBuilt(t.Context(), "1.12.2", false)
	if err != nil || o.Version != "1.12.2" || o.Prebuilt != "" || !slices.Equal(o.Arches, under.Arches) || p.Dist == s.Pipeline.Dist {
		t.Errorf("%v: %+v, %+v", err, p, o)
	}
	// Its place is in the keys of what is kept, and travels with it.
	again, _, err := s.howBuilt(t.Context(), "1.12.2", false)
	if root := p.Root; err != nil || again.Root != root || !strings.HasPrefix(root, string(p.Dist)+"/") {
		t.Errorf("the definitions are in %s, and in %s the next time, not below %s: %v", root, again.Root, p.Dist, err)
	}
	root := p.Root
	source, err := pkgdef.LoadSource(root, "spire")
	if err != nil || source.Release != Release {
		t.Errorf("its packaging is %d, want %d: %v", source.Release, Release, err)
	}
	packages, err := pkgdef.Load(root)
	if err != nil || len(packages) == 0 {
		t.Fatal(err)
	}
	for _, p := range packages {
		for _, unit := range p.Units.Names() {
			if strings.Contains(unit, "state") || len(p.Units.Names()) != len(p.Units.Switched()) {
				t.Errorf("its %s moves state: %q", p.Name, p.Units.Names())
			}
		}
		if p.Scriptlets(pkgdef.Source{}, "1.12.2").State != "" {
			t.Errorf("the scriptlets of its %s move state", p.Name)
		}
	}
}

// What test:earlier has built is, by the folder that travels, what another machine
// takes, or it says that it is not there; nothing is compiled.
func TestEarlierElsewhere(t *testing.T) {
	here, err := filepath.Abs(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	c := subject.Checkout{Root: here, Log: t.Output(), Pipeline: pipeline.Pipeline{Root: here, Dist: artifact.Dist(t.TempDir())}}
	s := Versions{c, pipeline.Options{Arches: []string{"arm64"}}}
	into := t.TempDir()
	folder, dir := t.TempDir(), t.TempDir()
	t.Setenv(earlierFolder, folder)
	if _, err := s.Signed(t.Context(), "1.12.2", false, nil, into); err == nil || !strings.Contains(err.Error(), "taking what was built in "+folder) {
		t.Errorf("without what was built: %v", err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "a.deb"), []byte("x"), 0o600), artifact.WriteSums(dir, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.handOn(t.Context(), pipeline.Result{Tree: artifact.Tree{Version: "1.12.2"}, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	// It is the folder that is looked at, and what is not a release's refused.
	if _, err := s.Signed(t.Context(), "1.12.2", false, nil, into); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, "1.12.2", builtFolder, "a.deb")+" is not one of the files of spire 1.12.2-1") {
		t.Errorf("with a file too many: %v", err)
	}
}
