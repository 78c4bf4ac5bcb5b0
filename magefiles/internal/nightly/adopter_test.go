package nightly

import (
	"io"
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
		got, err := Adoptable(c.given, "helper", c.due)
		if diff := cmp.Diff(c.want, got); diff != "" || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// A version that waits is left out of those that go on, and no error.
func TestAsk(t *testing.T) {
	s := hubtest.New(t)
	spire := pkgdef.Source{Name: "spire", Main: true}
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	a := Adopter{Pipeline: pipeline.Pipeline{Root: root, Log: io.Discard}, Out: io.Discard, base: s.AddCommit("o/r", "main", hubtest.Commit{Files: map[string]string{"srpm/spire/source.yaml": "old"}})}
	if a.ours, err = hub.Open(hub.Settings{Token: hubtest.Token, API: s.API(), Server: s.URL()}, "o/r"); err != nil {
		t.Fatal(err)
	}
	output := filepath.Join(t.TempDir(), "output")
	t.Setenv("GITHUB_OUTPUT", output)
	t.Setenv("GITHUB_STEP_SUMMARY", output+".summary")
	for _, found := range []adoption.Findings{{Source: spire, Version: "1.14.7"}, {Source: spire, Version: "1.15.3", Patches: []adoption.Patch{{Name: "0001-a.patch", Reject: "x"}}}} {
		adopted := Adopted{Findings: found, File: filepath.Join(root, "srpm/spire/source.yaml"), Content: []byte("new")}
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

// What is of this repository goes on by itself, and is not written for its owner.
func TestAdoptOwnSource(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	a := Adopter{Pipeline: pipeline.Pipeline{Root: root, Log: io.Discard}, Out: io.Discard}
	due := []upstream.Due{{Source: "spire-config", Version: "0.1.0"}}
	if err := a.all(t.Context(), due, a.ask); err != nil || !cmp.Equal(a.goOn, due) {
		t.Errorf("%v go on, error %v", a.goOn, err)
	}
	if err := a.Write(t.Context(), due); err == nil || !strings.Contains(err.Error(), "write its version and time into srpm/spire-config/source.yaml") {
		t.Errorf("error %v", err)
	}
}
