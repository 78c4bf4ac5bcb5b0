package suite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/manifest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
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
	s := Suite{Log: &log}
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
		if got := s.leading(t.Context(), source, c.under); !slices.Equal(got, c.want) || (log.Len() > 0) != c.says {
			t.Errorf("%s by %s: %q, not %q; %s", c.under, c.proxy, got, c.want, log.String())
		}
	}
}

// What other machines built is the version under test only.
func TestEarlierBuild(t *testing.T) {
	here, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	s := Suite{Root: here, Log: t.Output(), Pipeline: pipeline.Pipeline{Root: here, Dist: artifact.Dist(t.TempDir())}}
	under := pipeline.Options{Version: "1.13.3", Arches: []string{"arm64"}, Prebuilt: "elsewhere"}
	p, o, err := s.earlierBuild(t.Context(), under, "1.12.2", false)
	if err != nil || o.Version != "1.12.2" || o.Prebuilt != "" || !slices.Equal(o.Arches, under.Arches) || p.Dist == s.Pipeline.Dist {
		t.Errorf("%v: %+v, %+v", err, p, o)
	}
	// Its place is in the keys of what is kept, and travels with it.
	again, _, err := s.earlierBuild(t.Context(), under, "1.12.2", false)
	if root := p.Root; err != nil || again.Root != root || !strings.HasPrefix(root, string(p.Dist)+"/") {
		t.Errorf("the definitions are in %s, and in %s the next time, not below %s: %v", root, again.Root, p.Dist, err)
	}
	root := p.Root
	source, err := pkgdef.LoadSource(root, "spire")
	if err != nil || source.Release != formerRelease {
		t.Errorf("its packaging is %d, want %d: %v", source.Release, formerRelease, err)
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
	here, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	s := Suite{Root: here, Log: t.Output(), Pipeline: pipeline.Pipeline{Root: here, Dist: artifact.Dist(t.TempDir())}}
	folder, dir := t.TempDir(), t.TempDir()
	t.Setenv(earlierFolder, folder)
	other := &fixture{built: built{Suite: s, part: part{options: pipeline.Options{Arches: []string{"arm64"}}}}, place: t.TempDir(), key: new(testKey)}
	if _, err := other.earlier(t.Context(), "1.12.2", false); err == nil || !strings.Contains(err.Error(), "taking what was built in "+folder) {
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
	if _, err := other.earlier(t.Context(), "1.12.2", false); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, "1.12.2", builtFolder, "a.deb")+" is not one of the files of spire 1.12.2-1") {
		t.Errorf("with a file too many: %v", err)
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

// Who wants to know less upgrades from the minor before alone, and is told so.
func TestFewerUpgrades(t *testing.T) {
	source := pkgdef.Source{Main: true, Releases: map[string]pkgdef.Pin{"1.12.1": {}, "1.12.2": {}, "1.13.0": {}, "1.13.3": {}}}
	for fewer, want := range map[bool]string{false: "1.12.2 1.13.0", true: "1.12.2"} {
		var log bytes.Buffer
		counts := &tally.Tally{Log: &log}
		b := built{Suite: Suite{Log: &log}, part: part{source: source, result: pipeline.Result{Tree: artifact.Tree{Version: "1.13.3"}}}, fewer: fewer}
		from, _ := b.upgraded(t.Context())
		if got := strings.Join(from, " "); got != want {
			t.Errorf("fewer %t: from %s, not %s", fewer, got, want)
		}
		b.leftOut(t.Context(), counts)
		if said := strings.Contains(log.String(), "SKIP upgrade from 1.13.0 "); said != fewer {
			t.Errorf("fewer %t: %s", fewer, log.String())
		}
	}
}
