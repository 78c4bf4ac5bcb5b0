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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
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
	if each, err := p.Each(Options{}); err != nil || len(each) != len(sources) || each[0].Source != "spire" {
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

func TestUnknownFormat(t *testing.T) {
	if _, err := real(t).load(Options{Formats: []string{"deb", "apk"}}); err == nil || err.Error() != `"apk" is no package format` {
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
		"unknown architecture":     {Options{Arches: []string{"amd64", "s390x"}}, `architecture "s390x"`},
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

// packing is a build that has come as far as the packages.
type packing struct {
	*build
	t   *testing.T
	dir string // of the packages' files
}

func newPacking(t *testing.T) packing {
	t.Helper()
	p := Pipeline{Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Log: io.Discard}
	tree := artifact.Tree{Version: "1.13.3", Verified: true, Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)}
	return packing{&build{Pipeline: p, tree: tree, source: pkgdef.Source{Name: "up", Release: 1, Maintainer: "S <s@example.org>"}}, t, t.TempDir()}
}

func (p packing) file(name string) string { return filepath.Join(p.dir, name) }

func (p packing) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// items are two packages, as deb and rpm, with a binary and a unit each.
func (p packing) items() []wanted {
	p.t.Helper()
	var items []wanted
	for _, name := range []string{"one", "two"} {
		sum, size, err := artifact.Digest(p.file(name))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, form := range format.Names() {
			f, err := format.Find(form)
			if err != nil {
				p.t.Fatal(err)
			}
			items = append(items, wanted{f, format.Item{
				Source: p.source, Tree: p.tree, Package: pkgdef.Package{Name: name, Summary: name, Description: name, Section: "net"},
				Binary: artifact.Binary{Name: name, Arch: "amd64", Path: p.file(name), SHA256: sum, Size: size},
				Payload: []pkgdef.Entry{
					{Path: "/usr/bin/" + name, Kind: pkgdef.File, Mode: 0o755, From: p.file(name)},
					{Path: "/usr/lib/systemd/system/" + name + ".service", Kind: pkgdef.File, Mode: 0o644, From: p.file(name + ".service")},
				},
			}, nil})
		}
	}
	return items
}

// rebuilt packs and gives the names of the files that were made.
func (p packing) rebuilt(items []wanted) []string {
	p.t.Helper()
	files, err := p.pack(p.t.Context(), items)
	if err != nil {
		p.t.Fatal(err)
	}
	names := []string{}
	for _, file := range files {
		if sum, size, err := artifact.Digest(file.Path); err != nil || sum != file.SHA256 || size != file.Size {
			p.t.Errorf("%s is said to have %d bytes and %s, error %v", file.Name(), file.Size, file.SHA256, err)
		}
		if file.Rebuilt {
			names = append(names, file.Name())
		}
	}
	slices.Sort(names)
	return names
}

func (p packing) want(why string, items []wanted, names ...string) {
	p.t.Helper()
	if diff := cmp.Diff(append([]string{}, names...), p.rebuilt(items)); diff != "" {
		p.t.Errorf("%s: made (-want +got):\n%s", why, diff)
	}
}

// filled is a packing whose first run is done.
func filled(t *testing.T) packing {
	t.Helper()
	p := newPacking(t)
	for _, name := range []string{"one", "two"} {
		p.write(name, "binary "+name)
		p.write(name+".service", "unit "+name)
	}
	p.want("first run", p.items(), "one-1.13.3-1.x86_64.rpm", "one_1.13.3-1_amd64.deb", "two-1.13.3-1.x86_64.rpm", "two_1.13.3-1_amd64.deb")
	return p
}

func (p packing) output(name string) string { return filepath.Join(p.Dist.Version("1.13.3"), name) }

func (p packing) read(name string) []byte {
	p.t.Helper()
	content, err := os.ReadFile(p.output(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return content
}

func TestPackNothingTwice(t *testing.T) {
	p := filled(t)
	p.want("second run", p.items())
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(p.file("one.service"), later, later); err != nil {
		t.Fatal(err)
	}
	p.want("a unit is touched", p.items())
}

func TestPackWhatChanged(t *testing.T) {
	p := filled(t)
	before := p.read("two_1.13.3-1_amd64.deb")
	p.write("one.service", "another unit")
	p.want("a unit changed", p.items(), "one-1.13.3-1.x86_64.rpm", "one_1.13.3-1_amd64.deb")
	p.want("and again", p.items())
	if !bytes.Equal(before, p.read("two_1.13.3-1_amd64.deb")) {
		t.Error("the other package changed")
	}
	p.write("two", "another binary")
	p.want("a binary changed", p.items(), "two-1.13.3-1.x86_64.rpm", "two_1.13.3-1_amd64.deb")
}

// What is under a package's name is looked at, not only that there is
// something.
func TestPackTampered(t *testing.T) {
	const deb, rpm = "one_1.13.3-1_amd64.deb", "one-1.13.3-1.x86_64.rpm"
	for name, spoil := range map[string]func(path string) error{
		"changed":   func(path string) error { return os.WriteFile(path, []byte("changed"), 0o644) },
		"removed":   os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			p := filled(t)
			before := p.read(deb)
			if err := spoil(p.output(deb)); err != nil {
				t.Fatal(err)
			}
			p.want(name, p.items(), deb)
			if !bytes.Equal(before, p.read(deb)) {
				t.Error("it did not come out the same")
			}
		})
	}
	p := filled(t)
	record := p.Dist.Work("1.13.3", "amd64", "one", "rpm.json")
	if err := os.WriteFile(record, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.want("the record is spoilt", p.items(), rpm)
}

// Who can read a package in dist does not depend on the builder's umask.
func TestPackMode(t *testing.T) {
	p := filled(t)
	info, err := os.Stat(p.output("one_1.13.3-1_amd64.deb"))
	if err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, error %v", info.Mode(), err)
	}
}

func TestPackFails(t *testing.T) {
	t.Run("first run", func(t *testing.T) {
		p := newPacking(t)
		for _, name := range []string{"one", "one.service", "two", "two.service"} {
			p.write(name, name)
		}
		items := p.items()
		for i := range items {
			items[i].item.Scriptlets = map[string]string{"unknown": ""} // found when writing has begun
		}
		if _, err := p.pack(t.Context(), items); err == nil || !strings.Contains(err.Error(), `no scriptlet "unknown"`) {
			t.Errorf("error %v", err)
		}
		p.wantOutputs()
	})
	t.Run("later run", func(t *testing.T) {
		p := filled(t)
		before := p.read("one_1.13.3-1_amd64.deb")
		items := p.items()
		if err := os.Remove(p.file("one")); err != nil { // its digest is known, its content gone
			t.Fatal(err)
		}
		for i := range items {
			items[i].item.Source.Release = 1
			items[i].item.License = "changed"
			items[i].item.Package.Description = "changed"
		}
		if _, err := p.pack(t.Context(), items[:1]); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "one") {
			t.Errorf("error %v", err)
		}
		if !bytes.Equal(before, p.read("one_1.13.3-1_amd64.deb")) {
			t.Error("the file of the earlier run changed")
		}
		p.wantOutputs("one-1.13.3-1.x86_64.rpm", "one_1.13.3-1_amd64.deb", "two-1.13.3-1.x86_64.rpm", "two_1.13.3-1_amd64.deb")
		p.write("one", "binary one")
		p.want("after the failure", items[:1], "one_1.13.3-1_amd64.deb")
	})
}

// wantOutputs makes sure that the version's folder has these files only.
func (p packing) wantOutputs(names ...string) {
	p.t.Helper()
	entries, err := os.ReadDir(p.Dist.Version("1.13.3"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if !slices.Equal(got, names) {
		p.t.Errorf("dist has %q, want %q", got, names)
	}
}

// A cancelled run ends, and leaves nothing.
func TestPackCancelled(t *testing.T) {
	p := newPacking(t)
	for _, name := range []string{"one", "one.service", "two", "two.service"} {
		p.write(name, name)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.pack(ctx, p.items()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	p.wantOutputs()
}

func TestWriteInfo(t *testing.T) {
	p := newPacking(t)
	for i, want := range []bool{true, false} {
		file, err := p.writeInfo(t.Context(), compile.Info{Arch: "amd64", Unpinned: "another"})
		if err != nil || file.Rebuilt != want || file.Name() != "up_1.13.3-1_amd64.build.json" {
			t.Errorf("run %d: %+v, error %v", i+1, file, err)
		}
	}
	if file, err := p.writeInfo(t.Context(), compile.Info{Arch: "amd64", Unpinned: "another", Binaries: []artifact.Binary{{Name: "x"}}}); err != nil || !file.Rebuilt {
		t.Errorf("changed: %+v, error %v", file, err)
	}
}
