//go:build mage

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

func TestAdoptable(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		given *string
		due   string
		want  []upstream.Due
		err   string
	}{
		"one":                          {text("1.15.3"), "", []upstream.Due{{Source: "helper", Version: "1.15.3"}}, ""},
		"several":                      {text("1.15.3,1.14.7"), "", []upstream.Due{{Source: "helper", Version: "1.15.3"}, {Source: "helper", Version: "1.14.7"}}, ""},
		"the plan's":                   {nil, `[{"source":"spire","version":"1.15.3"},{"source":"helper","version":"0.1.0"}]`, []upstream.Due{{Source: "spire", Version: "1.15.3"}, {Source: "helper", Version: "0.1.0"}}, ""},
		"a flag beats the environment": {text("1.15.3"), `[{"version":"1.14.7"}]`, []upstream.Due{{Source: "helper", Version: "1.15.3"}}, ""},
		"none":                         {nil, "", nil, "-version=X.Y.Z"},
		"no list":                      {nil, "1.15.3", nil, "SPIRE_DUE"},
	} {
		t.Setenv("SPIRE_DUE", c.due)
		got, err := adoptable(c.given, "helper")
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// A version that waits is left out of those that go on, and no error.
func TestAsk(t *testing.T) {
	s := hubtest.New(t)
	spire := pkgdef.Source{Name: "spire", Main: true}
	a := adopter{base: s.AddCommit("o/r", "main", hubtest.Commit{Files: map[string]string{"srpm/spire/source.yaml": "old"}})}
	var err error
	if a.ours, err = hub.Open(hub.Settings{Token: hubtest.Token, API: s.API(), Server: s.URL()}, "o/r"); err != nil {
		t.Fatal(err)
	}
	t.Chdir("..")
	output := filepath.Join(t.TempDir(), "output")
	t.Setenv("GITHUB_OUTPUT", output)
	t.Setenv("GITHUB_STEP_SUMMARY", output+".summary")
	for _, found := range []adoption.Findings{{Source: spire, Version: "1.14.7"}, {Source: spire, Version: "1.15.3", Patches: []adoption.Patch{{Name: "0001-a.patch", Reject: "x"}}}} {
		adopted := pipeline.Adopted{Findings: found, File: filepath.Join(checkout().Root, "srpm/spire/source.yaml"), Content: []byte("new")}
		if err := a.ask(t.Context(), adopted); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.setOutputs(); err != nil {
		t.Fatal(err)
	}
	want := `versions=[{"source":"spire","version":"1.14.7"}]` + "\n" + `waiting=["1.15.3 waits for a person: ` + s.URL() + `/o/r/pull/1 (opened the pull request)"]` + "\n"
	if got, err := os.ReadFile(output); string(got) != want {
		t.Errorf("the outputs are %s (%v), not %s", got, err, want)
	}
	if summary, err := os.ReadFile(output + ".summary"); !strings.Contains(string(summary), "0001-a.patch") {
		t.Errorf("the summary is %s (%v)", summary, err)
	}
	if s.Branch("o/r", "adopt-1.15.3").Files["srpm/spire/source.yaml"] != "new" || s.Branch("o/r", "adopt-1.14.7").SHA != "" {
		t.Error("the branches are not what they should be")
	}
}

func TestAdoptRefused(t *testing.T) {
	t.Chdir("..")
	yes, version, name := true, "1.15.3", "no repository"
	for want, c := range map[string]struct {
		token, repository string
		pull              *bool
	}{
		"no pull request can be opened without a token": {"", "o/r", &yes},
		"owner/name": {hubtest.Token, name, &yes},
	} {
		s := hubtest.New(t)
		for _, line := range append(s.Environ(), "GITHUB_TOKEN="+c.token, "GITHUB_REPOSITORY="+c.repository) {
			variable, value, _ := strings.Cut(line, "=")
			t.Setenv(variable, value)
		}
		if err := (Source{}).Adopt(t.Context(), &version, nil, nil, c.pull); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}

// Who has judged some of it, and not all, can ask what is left.
func TestAdoptAgain(t *testing.T) {
	root := t.TempDir()
	for _, folder := range []string{"packages", "units", "srpm"} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join("..", folder))); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	file, err := os.OpenFile("srpm/spire/source.yaml", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("  - module: example.org/x\n    reason: \"\"\n"); err != nil {
		t.Fatal(err)
	}
	version := "x"
	if err := (Source{}).Adopt(t.Context(), &version, nil, nil, nil); err == nil || !strings.Contains(err.Error(), `adopting x: version "x"`) {
		t.Errorf("it does not come as far as the version: %v", err)
	}
}

// No version that fails keeps another one from going on; and that it failed is said.
func TestAdoptFails(t *testing.T) {
	s := hubtest.New(t)
	for _, line := range append(s.Environ(), "GITHUB_REPOSITORY=o/r", "GOPROXY=off", "GOMODCACHE="+t.TempDir()) {
		variable, value, _ := strings.Cut(line, "=")
		t.Setenv(variable, value)
	}
	t.Chdir("..")
	versions := "1.15.3,x"
	err := Source{}.Adopt(t.Context(), &versions, nil, nil, nil)
	for _, want := range []string{"adopting 1.15.3: ", `adopting x: version "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}
