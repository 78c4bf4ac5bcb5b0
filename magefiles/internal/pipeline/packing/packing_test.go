package packing

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// packing is a build that has come as far as the packages.
type packing struct {
	Packer
	t   *testing.T
	dir string // of the packages' files
}

func newPacking(t *testing.T) packing {
	t.Helper()
	tree := artifact.Tree{Version: "1.13.3", Verified: true, Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)}
	return packing{Packer{Version: inventory.Version{Tree: tree, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist"))}, Log: io.Discard}, t, t.TempDir()}
}

func (p packing) file(name string) string { return filepath.Join(p.dir, name) }

func (p packing) write(name, content string) {
	p.t.Helper()
	if err := os.WriteFile(p.file(name), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// items are two packages, as deb and rpm, with a binary and a unit each.
func (p packing) items() []contents.File {
	p.t.Helper()
	var items []contents.File
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
			items = append(items, contents.File{Format: f, Item: format.Item{
				Source: pkgdef.Source{Name: "up", Release: 1, Maintainer: "S <s@example.org>"}, Tree: p.Tree, Package: pkgdef.Package{Name: name, Command: "cmd/" + name, Summary: name, Description: name, Section: "net"},
				Binary: artifact.Binary{Name: name, Arch: "amd64", Path: p.file(name), SHA256: sum, Size: size},
				Payload: []pkgdef.Entry{
					{Path: "/usr/bin/" + name, Kind: pkgdef.File, Mode: 0o755, From: p.file(name)},
					{Path: "/usr/lib/systemd/system/" + name + ".service", Kind: pkgdef.File, Mode: 0o644, From: p.file(name + ".service")},
				},
			}})
		}
	}
	return items
}

// rebuilt packs and gives the names of the files that were made.
func (p packing) rebuilt(items []contents.File) []string {
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

func (p packing) want(why string, items []contents.File, names ...string) {
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
			items[i].Item.Scriptlets = map[string]string{"unknown": ""} // found when writing has begun
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
			items[i].Item.Source.Release = 1
			items[i].Item.License = "changed"
			items[i].Item.Package.Description = "changed"
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
