// Package formattest makes small packages for the tests of formats.
package formattest

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
)

// Everything is what the scriptlets know of a package that has all there is.
func Everything() scriptlets.Data {
	return scriptlets.Data{
		Name: "demo", Version: "1.13.3", Sysusers: true, Tmpfiles: true,
		SysusersLines: []scriptlets.SysusersLine{{Type: "u", Name: "demo", ID: "-", Gecos: "A demo", Home: "/var/lib/demo", Shell: "/usr/sbin/nologin"}},
		Units:         []string{"demo.service", "demo@.service", "all.target"}, Services: []string{"demo.service", "demo@*.service"}, Shared: []string{"all.target"},
		Inits:  []string{"demo", "demo-helper"},
		Config: []string{"/etc/demo/demo.conf"}, Keep: []string{"/var/lib/demo"}, Purge: []string{"/run/demo/one", "/var/lib/demo"},
	}
}

// Demo is a small package in a format, with an entry of each kind, its files in dir.
func Demo(t *testing.T, format kit.Format, dir string) kit.Item {
	t.Helper()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	texts, err := scriptlets.Render(format.Scripts, Everything())
	if err != nil {
		t.Fatal(err)
	}
	return kit.Item{
		Source:  pkgdef.Source{Title: "SPIRE", Name: "up", Release: 2, Homepage: "https://example.org/", Maintainer: "Somebody <somebody@example.org>"},
		Package: pkgdef.Package{Name: "demo", Command: "cmd/demod", Summary: "Demonstration", Description: "It shows.\n\nMore.\n", Succeeds: []string{"old-demo"}},
		Tree:    artifact.Tree{Version: "1.13.3", Verified: true, Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)},
		Binary:  artifact.Binary{Name: "demod", Arch: "amd64", Path: file("demod", "#!/bin/sh\necho demo\n")},
		License: "Apache-2.0 AND MIT", Scriptlets: texts,
		Payload: []pkgdef.Entry{
			{Path: "/etc/demo", Kind: pkgdef.Dir, Mode: 0o755},
			{Path: "/etc/demo/demo.conf", Kind: pkgdef.Conf, Mode: 0o640, From: file("demo.conf", "a = 1\n")},
			{Path: "/usr/bin/demo", Kind: pkgdef.File, Mode: 0o755, From: filepath.Join(dir, "demod")},
			{Path: "/usr/share/licenses/demo/LICENSE", Kind: pkgdef.License, Mode: 0o644, From: file("LICENSE", "free\n")},
			{Path: "/usr/share/man/man1/demo.1.gz", Kind: pkgdef.Doc, Mode: 0o644, From: file("demo.1.gz", "zipped\n")},
		},
	}
}

// Packaged writes the package under its own name, and gives its path.
func Packaged(t *testing.T, format kit.Format, item kit.Item) string {
	t.Helper()
	name, err := format.FileName(item)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := format.Write(&b, item, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// ReadBack is all that the format reads in the package at path, one item a line.
func ReadBack(t *testing.T, format kit.Format, path string) string {
	t.Helper()
	m, err := format.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if m[format.NameItem] != "demo" {
		t.Errorf("its name is %q", m[format.NameItem])
	}
	var b strings.Builder
	for _, item := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s: %s\n", item, m[item])
	}
	return b.String()
}
