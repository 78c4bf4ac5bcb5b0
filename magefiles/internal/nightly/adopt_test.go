package nightly

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool/gotooltest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

const (
	isc = "Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is hereby granted.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES\nWITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF\nMERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR\nANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES\nWHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN\nACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF\nOR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n"
	own = "You may use this, and redistribute it, with my permission, on days of the week that I like and for which you have asked me before.\n"
	// LGPL's short form is enough to be recognised, and may not be linked.
	copyleft = "This library is free software; you can redistribute it and/or modify it under the terms of the GNU Lesser General Public License as published by the Free Software Foundation; either version 2.1 of the License, or (at your option) any later version.\n"
)

// adopting is a checkout whose upstream is a made-up module, and upstream's tags.
type adopting struct {
	pipeline.Pipeline
	theirs *hub.Repository
}

func newAdopting(t *testing.T, patch string) adopting {
	t.Helper()
	if err := tool.Need("patch"); err != nil {
		t.Skip(err)
	}
	w := gotooltest.NewWorld(t)
	goSum := ""
	for name, license := range map[string]string{"linked": own, "carried": own, "strict": copyleft, "bare": ""} {
		files := map[string]string{"go.mod": "module example.org/" + name + "\n\ngo 1.21\n", "x.go": "package " + name + "\n"}
		if license != "" {
			files["LICENSE"] = license
		}
		_, lines := w.Publish(t, "example.org/"+name, "v1.0.0", files)
		goSum += lines
	}
	const command = "package main\n\nimport _ \"example.org/linked\"\nimport _ \"example.org/strict\"\nimport _ \"example.org/bare\"\n\nfunc main() {}\n"
	w.Publish(t, "example.org/up", "v1.15.3", map[string]string{
		"go.mod":                   "module example.org/up\n\ngo 1.21\n\nrequire (\n\texample.org/linked v1.0.0\n\texample.org/carried v1.0.0\n\texample.org/strict v1.0.0\n\texample.org/bare v1.0.0\n)\n",
		"go.sum":                   goSum,
		"LICENSE":                  isc,
		"a.txt":                    "one\n",
		"tools/tools.go":           "package tools\n\nimport _ \"example.org/carried\"\n",
		"cmd/spire-server/main.go": command,
		"cmd/spire-agent/main.go":  command,
		"support/oidc-discovery-provider/main.go": command,
	})
	server := hubtest.New(t)
	for tag, commit := range map[string]string{"v1.15.3": gotooltest.Commit, "v1.14.7": strings.Repeat("b", 40), "v1.13.6": strings.Repeat("c", 40)} {
		server.SetTag("spiffe/spire", tag, commit)
	}
	theirs, err := hub.Open(hub.Settings{Token: hubtest.Token, API: server.API(), Server: server.URL()}, "spiffe/spire")
	if err != nil {
		t.Fatal(err)
	}
	p := pipeline.Pipeline{Root: t.TempDir(), Log: io.Discard, Databases: []string{w.Database}}
	p.Dist = artifact.Dist(filepath.Join(p.Root, "dist"))
	define(t, p, w.Toolchain, patch)
	return adopting{p, theirs}
}

// adopt looks at the version that upstream has.
func (a adopting) adopt(t *testing.T, arches []string) (Adopted, error) {
	t.Helper()
	return Adopt(t.Context(), a.Pipeline, a.theirs, upstream.Due{Source: "spire", Version: "1.15.3"}, arches)
}

// define copies the real definitions, with another upstream.
func define(t *testing.T, p pipeline.Pipeline, toolchain pkgdef.Toolchain, patch string) {
	t.Helper()
	for _, folder := range []string{"packages", "units", "srpm"} {
		if err := os.CopyFS(filepath.Join(p.Root, folder), os.DirFS(filepath.Join("..", "..", "..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	common, place := filepath.Join(p.Root, "srpm", "common", "tools.yaml"), filepath.Join(p.Root, "srpm", "spire")
	tools, err := os.ReadFile(common)
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`version: go1\S+`).ReplaceAllString(string(tools), "version: "+toolchain.Version)
	pinned = regexp.MustCompile(`(linux-(amd64|arm64)): h1:\S+`).ReplaceAllStringFunc(pinned, func(line string) string {
		host, _, _ := strings.Cut(line, ":")
		for known, sum := range toolchain.Sums {
			if known == host {
				return host + ": " + sum
			}
		}
		return line
	})
	content, err := os.ReadFile(filepath.Join(place, "source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(content), "module: github.com/spiffe/spire", "module: example.org/up", 1)
	text = regexp.MustCompile(`minors: .*`).ReplaceAllString(text, `minors: ["1.13", "1.14"]`)
	err = errors.Join(
		os.RemoveAll(filepath.Join(place, "patches")), os.Mkdir(filepath.Join(place, "patches"), 0o755),
		os.WriteFile(filepath.Join(place, "source.yaml"), []byte(text), 0o644), os.WriteFile(common, []byte(pinned), 0o644),
		os.WriteFile(filepath.Join(place, "patches", "0001-a.patch"), []byte("--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-"+patch+"\n+two\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// All that a person must judge is found at once, and is found again while nobody has.
func TestAdopt(t *testing.T) {
	a := newAdopting(t, "other")
	adopted, err := a.adopt(t, []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	found := adopted.Findings
	unknown := `not a known license: "You may use this, and redistribute it, with my permission, on days of the week that"`
	want := []adoption.License{
		{Module: "example.org/bare", Version: "v1.0.0", Why: "no license text"},
		{Module: "example.org/carried", Version: "v1.0.0", File: "LICENSE", Why: unknown, Text: own},
		{Module: "example.org/linked", Version: "v1.0.0", File: "LICENSE", Why: unknown, Text: own},
		{Module: "example.org/strict", Version: "v1.0.0", File: "LICENSE", Why: "LGPL-2.1-or-later is not a license that may be linked statically", Guess: "LGPL-2.1-or-later", Text: copyleft},
	}
	if diff := cmp.Diff(want, found.Licenses); diff != "" {
		t.Errorf("licenses (-want +got):\n%s", diff)
	}
	if len(found.Patches) != 1 || found.Patches[0].Name != "0001-a.patch" || !strings.Contains(found.Patches[0].Reject, "-other\n+two") {
		t.Errorf("patches: %+v", found.Patches)
	}
	if found.Pin.Commit != gotooltest.Commit || !found.Pin.Time.Equal(gotooltest.Time) || !strings.HasPrefix(found.Pin.Vendor, "h1:") {
		t.Errorf("pin: %+v", found.Pin)
	}
	before, err := os.ReadFile(adopted.File)
	if err != nil || strings.Contains(string(before), "example.org/linked") {
		t.Fatalf("it was written already: %v", err)
	}
	if err := os.WriteFile(adopted.File, adopted.Content, 0o644); err != nil {
		t.Fatal(err)
	}
	open, err := pkgdef.LoadUndecided(a.Root, "spire")
	if err != nil || len(open.Undecided) != 4 || open.Releases["1.15.3"] != found.Pin || !cmp.Equal(open.Supported, pkgdef.Supported{Minors: []string{"1.14", "1.15"}, Day: "2025-10-23"}) {
		t.Errorf("%v: %+v", err, open.Undecided)
	}
	again, err := a.adopt(t, []string{"amd64"})
	if diff := cmp.Diff(adopted, again, cmpopts.IgnoreFields(adoption.Findings{}, "Source")); diff != "" || err != nil {
		t.Errorf("again: %v\n%s", err, diff)
	}
}

// Decided, and refreshed: nothing waits.
func TestAdoptDecided(t *testing.T) {
	a := newAdopting(t, "one")
	file := filepath.Join(a.Root, "srpm", "spire", "source.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, entry := range []string{"linked\n    file: LICENSE", "carried\n    file: LICENSE", "strict\n    file: LICENSE", "bare\n    text: x"} {
		text += "  - module: example.org/" + entry + "\n    license: MIT\n    reason: A person looked.\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	adopted, err := a.adopt(t, []string{"amd64", "arm64"})
	if err != nil || adopted.Findings.Waits() {
		t.Errorf("%v: it waits for %+v", err, adopted.Findings)
	}
	if !strings.Contains(string(adopted.Content), "  1.15.3:\n    sum: "+adopted.Findings.Pin.Sum) {
		t.Error("the version is not written")
	}
}

// Upstream's own tag decides of which commit a version is.
func TestAdoptAnotherCommit(t *testing.T) {
	a := newAdopting(t, "one")
	server := hubtest.New(t)
	server.SetTag("spiffe/spire", "v1.15.3", strings.Repeat("e", 40))
	var err error
	if a.theirs, err = hub.Open(hub.Settings{Token: hubtest.Token, API: server.API(), Server: server.URL()}, "spiffe/spire"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.adopt(t, nil); err == nil || !strings.Contains(err.Error(), strings.Repeat("e", 40)) || !strings.Contains(err.Error(), gotooltest.Commit) {
		t.Errorf("the error is %v", err)
	}
}
