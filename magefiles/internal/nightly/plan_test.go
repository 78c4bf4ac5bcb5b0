package nightly

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// root is this checkout.
var root = filepath.Join("..", "..", "..")

// A version that waits for a person is due all the same: what it waits for may be done.
func TestPlanWaits(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	p := Planner{Pipeline: pipeline.Pipeline{Root: root}, Repository: "o/r", Arches: []string{"amd64"}}
	source, err := pkgdef.LoadSource(root, "spire")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := p.rules(source)
	if err != nil {
		t.Fatal(err)
	}
	waits := hubtest.New(t)
	waits.AddIssue("o/r", hubtest.Issue{Title: "x", PullRequest: true, Head: "adopt-1.13.3", Base: "main"})
	for _, tag := range []string{"v1.13.3", "v1.12.9"} {
		waits.SetTag("spiffe/spire", tag, "191c76b489656502ff946afb486b47b83a376e81")
	}
	source.Repository = waits.URL() + "/spiffe/spire"
	p.Hub = hub.Settings{API: waits.API(), Server: waits.URL()}
	plan, err := p.make(t.Context(), source, rules)
	want := "1.13.3 waits for a person: " + waits.URL() + "/o/r/pull/1"
	if err != nil || !slices.Contains(plan.Notes, want) || len(plan.Versions()) != 2 {
		t.Errorf("%v: due are %v, and the notes %q lack %q", err, plan.Versions(), plan.Notes, want)
	}
}

// A source of this repository is due when its version is not released, and no other
// repository is asked for tags.
func TestPlanOfOwnSource(t *testing.T) {
	p := Planner{Pipeline: pipeline.Pipeline{Root: root}, Repository: "o/r", Arches: []string{"amd64"}}
	source, err := pkgdef.LoadSource(root, "spire-config")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := p.rules(source)
	if err != nil {
		t.Fatal(err)
	}
	server := hubtest.New(t)
	server.AddIssue("o/r", hubtest.Issue{Title: "ours, and no other repository"})
	p.Hub = hub.Settings{API: server.API(), Server: server.URL()}
	plan, err := p.make(t.Context(), source, rules)
	if err != nil || !slices.Equal(plan.Versions(), []string{source.Version}) || len(plan.Alarms) > 0 {
		t.Errorf("due are %v, alarms %q, error %v", plan.Versions(), plan.Alarms, err)
	}
	released := hubtest.Release{Tag: source.Tag(source.Version, source.Release), Notes: "upstream-commit: " + strings.Repeat("a", 40)}
	for _, name := range rules.Expected(source.Version, source.Release) {
		released.Assets = append(released.Assets, hubtest.Asset{Name: name, State: hub.Uploaded})
	}
	server.AddRelease("o/r", released)
	plan, err = p.make(t.Context(), source, rules)
	if err != nil || len(plan.Versions())+len(plan.Alarms)+len(plan.Notes) > 0 {
		t.Errorf("once released, due are %v, alarms %q, notes %q, error %v", plan.Versions(), plan.Alarms, plan.Notes, err)
	}
}

// The names are those of a signed build, of another version and number too.
func TestShipped(t *testing.T) {
	source, err := pkgdef.LoadSource(root, "spire")
	if err != nil {
		t.Fatal(err)
	}
	expected, err := Planner{Pipeline: pipeline.Pipeline{Root: root}}.shipped(source, []string{"amd64", "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "shipped.golden", strings.Join(expected("1.13.33", 2), "\n")+"\n")
	if diff := cmp.Diff(len(expected("1.15.1", 1)), len(expected("1.13.33", 2))); diff != "" {
		t.Error(diff)
	}
}
