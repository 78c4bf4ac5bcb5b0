//go:build mage

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// plannable is a server with two versions of upstream, of which the checkout
// pins one, and the environment of a workflow's step.
func plannable(t *testing.T, commit string) (output string) {
	t.Helper()
	s := hubtest.New(t)
	s.Repository("o/r")
	s.SetTag("spiffe/spire", "v1.13.3", commit)
	s.SetTag("spiffe/spire", "v1.12.9", strings.Repeat("a", 40))
	output = filepath.Join(t.TempDir(), "output")
	for _, line := range append(s.Environ(), "GITHUB_OUTPUT="+output, "GITHUB_REPOSITORY=o/r", "GOPROXY=off", "GOMODCACHE="+t.TempDir(),
		"SPIRE_SOURCE=", "SPIRE_UPSTREAM="+s.URL(), "SPIRE_FLOOR=", "SPIRE_VERSION=", "SPIRE_ARCH=amd64") {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	t.Chdir("..")
	return output
}

// spireOnly is the one source that the server of these tests has.
var spireOnly = "spire"

func TestPlan(t *testing.T) {
	const pinned = "191c76b489656502ff946afb486b47b83a376e81"
	for name, c := range map[string]struct {
		commit, want string
		alarm        bool
	}{
		"all is well":      {pinned, `versions=[{"source":"spire","version":"1.13.3"},{"source":"spire","version":"1.12.9"}]`, false},
		"a tag that moved": {strings.Repeat("b", 40), `versions=[{"source":"spire","version":"1.12.9"}]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			output := plannable(t, c.commit)
			err := Plan(context.Background(), nil, nil, &spireOnly, nil, nil, nil, nil, nil)
			if (err != nil) != c.alarm || (c.alarm && (!strings.Contains(err.Error(), c.commit) || !strings.Contains(err.Error(), pinned))) {
				t.Errorf("error %v", err)
			}
			got, err := os.ReadFile(output)
			if err != nil || !strings.Contains(string(got), c.want+"\n") || !strings.Contains(string(got), "\nalarms=[") {
				t.Errorf("the step's outputs are %s (%v), not %s", got, err, c.want)
			}
		})
	}
}

func TestPlanFlags(t *testing.T) {
	plannable(t, strings.Repeat("a", 40))
	none, floor, version, name := 0, "1.x", "1.0.0", "no repository"
	for want, plan := range map[string]func() error{
		"-minors=0":           func() error { return Plan(t.Context(), nil, &none, &spireOnly, nil, nil, nil, nil, nil) },
		"-floor":              func() error { return Plan(t.Context(), nil, nil, &spireOnly, &floor, nil, nil, nil, nil) },
		"-version":            func() error { return Plan(t.Context(), nil, nil, &spireOnly, nil, &floor, nil, nil, nil) },
		"no tag v1.0.0":       func() error { return Plan(t.Context(), nil, nil, &spireOnly, nil, &version, nil, nil, nil) },
		"owner/name":          func() error { return Plan(t.Context(), nil, nil, &spireOnly, nil, nil, nil, &name, nil) },
		"no repository":       func() error { return Plan(t.Context(), nil, nil, &spireOnly, nil, nil, nil, &name, nil) },
		"address of a server": func() error { return Plan(t.Context(), nil, nil, &spireOnly, nil, nil, nil, nil, &name) },
	} {
		if err := plan(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
}
