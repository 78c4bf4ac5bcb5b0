package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// real is a pipeline of this checkout with an output folder of its own, which
// is not there yet.
func real(t *testing.T) Pipeline {
	t.Helper()
	return Pipeline{Root: filepath.Join("..", "..", ".."), Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Log: io.Discard}
}

func TestList(t *testing.T) {
	p := real(t)
	version := p.Dist.Of("spire").Version("1.13.3")
	if err := os.MkdirAll(version, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(version, "spire-agent_1.13.3-2_amd64.deb"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"all":  {Version: "1.13.3", Arches: []string{"arm64", "amd64", "arm64"}},
		"debs": {Version: "1.12.2", Arches: []string{"amd64"}, Formats: []string{"deb"}},
		"srpm": {Version: "1.12.2", Arches: []string{"amd64"}, Formats: []string{"srpm"}},
	} {
		var b strings.Builder
		if err := p.List(o, &b); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "list-"+name+".golden", b.String())
	}
}

// All names of all sources' files, of a build and of a release.
func TestExpected(t *testing.T) {
	p := real(t)
	var text strings.Builder
	for _, source := range []string{"spire", "spiffe-helper"} {
		for _, arches := range [][]string{{"amd64"}, {"amd64", "arm64"}} {
			expected, err := p.Expected(source, arches)
			if err != nil {
				t.Fatal(err)
			}
			e := expected("1.2.3", len(arches))
			fmt.Fprintf(&text, "%s for %s, built:\n%s\n\nshipped:\n%s\n\n", source, strings.Join(arches, " and "), strings.Join(e.Built, "\n"), strings.Join(e.Shipped, "\n"))
		}
	}
	golden.Check(t, "expected.golden", text.String())
}

func TestDefaults(t *testing.T) {
	all := []string{"deb", "rpm", "dsc", "srpm"}
	source := pkgdef.Source{Version: "1.13.3"}
	for name, c := range map[string]struct{ given, want Options }{
		"nothing":           {Options{}, Options{Version: "1.13.3", Formats: all}},
		"version":           {Options{Version: "1.2.3"}, Options{Version: "1.2.3", Formats: all}},
		"format":            {Options{Formats: []string{"rpm"}}, Options{Version: "1.13.3", Formats: []string{"rpm"}}},
		"a part":            {Options{Packages: []string{"x"}}, Options{Version: "1.13.3", Packages: []string{"x"}, Formats: []string{"deb", "rpm"}}},
		"local source":      {Options{Dir: "/src"}, Options{Dir: "/src", Formats: all}},
		"local and version": {Options{Dir: "/src", Version: "1.2.3"}, Options{Dir: "/src", Version: "1.2.3", Formats: all}},
		"architectures twice": {
			Options{Arches: []string{"arm64", "amd64", "arm64"}},
			Options{Version: "1.13.3", Formats: all, Arches: []string{"amd64", "arm64"}},
		},
	} {
		b := &build{options: c.given, source: source}
		if err := b.defaults(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, b.options); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEach(t *testing.T) {
	p := real(t)
	local := t.TempDir()
	if err := os.WriteFile(filepath.Join(local, "go.mod"), []byte("module github.com/spiffe/spire\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options Options
		want    []Options
	}{
		"a source":  {Options{Source: "spire"}, []Options{{Source: "spire"}}},
		"a folder":  {Options{Dir: local}, []Options{{Source: "spire", Dir: local}}},
		"a version": {Options{Version: "1.12.2"}, []Options{{Source: "spire", Version: "1.12.2"}}},
		"a package": {Options{Packages: []string{"spire-agent"}}, []Options{{Source: "spire", Packages: []string{"spire-agent"}}}},
	} {
		if each, err := p.Each(c.options); err != nil || !cmp.Equal(each, c.want) {
			t.Errorf("%s: %+v, error %v", name, each, err)
		}
	}
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		t.Fatal(err)
	}
	if each, err := p.Each(Options{}); err != nil || len(each) != len(pkgdef.Ready(sources)) || each[0].Source != "spire" {
		t.Errorf("all: %+v, error %v", each, err)
	}
	for want, o := range map[string]Options{
		`there is no source "spir": there are spire`:    {Source: "spir"},
		`there is no package "spire": there are spiffe`: {Packages: []string{"spire", "spire-agent"}},
		"finding out which source is in ":               {Dir: t.TempDir()},
	} {
		if _, err := p.Each(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// What waits is built for whoever asks for it by name, with a word why it waits, and for
// nobody else; and is not signed, wherever it was built, before the key is opened.
func TestWaiting(t *testing.T) {
	var log bytes.Buffer
	p := real(t)
	p.Log = &log
	waiting, err := p.Waiting()
	if err != nil || len(waiting) == 0 {
		t.Fatalf("%v, error %v", waiting, err)
	}
	for _, source := range waiting {
		if all, err := p.Each(Options{}); err != nil || slices.ContainsFunc(all, func(o Options) bool { return o.Source == source.Name }) {
			t.Errorf("%s is among all: %v, error %v", source.Name, all, err)
		}
		log.Reset()
		if _, err := p.load(Options{Source: source.Name}); err != nil && !strings.Contains(err.Error(), source.Name+" has no packages yet: "+source.Waits) {
			t.Error(err)
		}
		if want := source.Name + " waits: " + source.Waits + "\n"; log.String() != want {
			t.Errorf("it says %q, not %q", log.String(), want)
		}
		_, err := p.Sign(t.Context(), Options{Source: source.Name, Prebuilt: t.TempDir()}, untouched, Builder{}, "")
		if want := "nothing of " + source.Name + " is signed, it waits: "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, not %s", err, want)
		}
	}
}

// The archive takes nothing of what waits, whoever has signed it.
func TestArchiveWithoutWaiting(t *testing.T) {
	w := newWorld(t)
	p := real(t)
	p.Rehearsal = true
	archive, err := p.archive(Archive{Signer: w.signer})
	if err != nil || len(archive.Sources) == 0 || len(archive.Packages) == 0 {
		t.Fatalf("%d sources, %d packages, error %v", len(archive.Sources), len(archive.Packages), err)
	}
	waiting, err := p.Waiting()
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range waiting {
		if slices.ContainsFunc(archive.Sources, func(s pkgdef.Source) bool { return s.Name == source.Name }) ||
			slices.ContainsFunc(archive.Packages, func(p pkgdef.Package) bool { return p.Source == source.Name }) {
			t.Errorf("it takes %s", source.Name)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := real(t).load(Options{Formats: []string{"deb", "msi"}}); err == nil || err.Error() != `"msi" is no package format` {
		t.Errorf("error %v", err)
	}
}

func TestPartOfPackages(t *testing.T) {
	p := real(t)
	b, err := p.load(Options{Packages: []string{"spire-agent"}})
	if err != nil || len(b.packages) != 1 || !slices.Equal(pkgdef.Commands(b.packages), []string{"cmd/spire-agent"}) {
		t.Errorf("%+v, error %v", b, err)
	}
	want := "a source package is one of all packages: leave -packages out"
	if _, err := p.load(Options{Packages: []string{"spire-agent"}, Formats: []string{"deb", "dsc"}}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// The caller's own list of architectures stays as it was.
func TestDefaultsKeepCallersList(t *testing.T) {
	given := []string{"arm64", "amd64", "arm64"}
	b := &build{options: Options{Arches: given, Version: "1.13.3"}}
	if err := b.defaults(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"arm64", "amd64", "arm64"}; !slices.Equal(given, want) {
		t.Errorf("the list is now %q", given)
	}
}

// What is refused is refused by every way in, before anything is made.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		want    string
	}{
		"short version":            {Options{Version: "1.13"}, `version "1.13"`},
		"version with v and more":  {Options{Version: "v1.13.3;id"}, `version "v1.13.3;id"`},
		"version that climbs":      {Options{Version: "../x"}, `version "../x"`},
		"bad version of a folder":  {Options{Version: "../x", Dir: "/src"}, `version "../x"`},
		"unknown architecture":     {Options{Arches: []string{"amd64", "mips"}}, `architecture "mips"`},
		"architecture that climbs": {Options{Arches: []string{"../amd64"}}, `architecture "../amd64"`},
		"empty architecture":       {Options{Arches: []string{"amd64", ""}}, `architecture ""`},
	} {
		t.Run(name, func(t *testing.T) {
			for way, try := range map[string]func(Pipeline, context.Context, Options) error{
				"list":    func(p Pipeline, ctx context.Context, o Options) error { return p.List(o, io.Discard) },
				"fetch":   func(p Pipeline, ctx context.Context, o Options) error { _, err := p.Fetch(ctx, o); return err },
				"compile": func(p Pipeline, ctx context.Context, o Options) error { _, err := p.Compile(ctx, o); return err },
				"build":   func(p Pipeline, ctx context.Context, o Options) error { _, err := p.Build(ctx, o); return err },
			} {
				p := real(t)
				// Whatever is not refused ends here, and not in a download.
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				err := try(p, ctx, c.options)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: the error does not say %q: %v", way, c.want, err)
				}
				if _, err := os.Lstat(string(p.Dist)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: dist was made: %v", way, err)
				}
			}
		})
	}
}

// Definitions with a mistake build nothing, either.
func TestBadDefinitions(t *testing.T) {
	p := real(t)
	p.Root = t.TempDir()
	if err := p.List(Options{}, io.Discard); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(string(p.Dist)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dist was made: %v", err)
	}
}

func TestClean(t *testing.T) {
	p := real(t)
	beside := filepath.Join(filepath.Dir(string(p.Dist)), "beside")
	if err := errors.Join(os.MkdirAll(p.Dist.Of("spire").Version("1.13.3"), 0o755), os.WriteFile(beside, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to remove
		if err := p.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(string(p.Dist)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("dist is still there: %v", err)
		}
	}
	if _, err := os.Lstat(beside); err != nil {
		t.Error(err)
	}
}

// Clean does not take the folder away from a run that works in it.
func TestCleanWaits(t *testing.T) {
	p := real(t)
	_, end, err := p.begin(t.Context(), Options{}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Clean(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Lstat(p.Dist.Work()); err != nil {
		t.Error(err)
	}
}

func TestPrint(t *testing.T) {
	result := Result{
		Dir: "dist/1.13.3", Took: 83*time.Second + 440*time.Millisecond, Tree: artifact.Tree{Version: "1.13.3", Verified: true},
		Files: []artifact.File{
			{Path: "dist/1.13.3/spire-server_1.13.3-2_amd64.deb", Size: 33800000, SHA256: strings.Repeat("ab", 32), Took: 12340 * time.Millisecond, Rebuilt: true},
			{Path: "dist/1.13.3/spire-agent-1.13.3-2.x86_64.rpm", Size: 9, SHA256: strings.Repeat("cd", 32)},
			{Path: "dist/1.13.3/x.build.json", Size: 0, SHA256: strings.Repeat("ef", 32)},
		},
	}
	var b strings.Builder
	result.Print(&b)
	result.Tree.Verified, result.Files, result.Dir = false, result.Files[:1], "dist/1.13.3~unverified"
	result.Unsupported = "upstream gives no more patches to 1.13"
	result.Print(&b)
	golden.Check(t, "print.golden", b.String())
}
