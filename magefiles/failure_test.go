//go:build mage

package main

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// That the run has failed is no failure of the target; that nobody would learn
// of it is.
func TestFailureReport(t *testing.T) {
	for name, c := range map[string]struct {
		jobs, alarms, token string
		want                string // of the error
		issues              int
	}{
		"green":      {`{"plan":{"result":"success"}}`, "[]", hubtest.Token, "", 0},
		"red":        {`{"plan":{"result":"failure"}}`, "", hubtest.Token, "", 1},
		"an alarm":   {`{"plan":{"result":"success"}}`, `["moved"]`, hubtest.Token, "", 1},
		"may not":    {`{"plan":{"result":"failure"}}`, "", hubtest.ReadToken, "issues: write", 0},
		"no results": {"", "", hubtest.Token, "SPIRE_JOBS", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			s.Repository("o/r")
			for _, line := range append(s.Environ(), "GITHUB_TOKEN="+c.token, "GITHUB_REPOSITORY=o/r", "GITHUB_WORKFLOW=nightly", "GITHUB_RUN_ID=7", "GITHUB_RUN_ATTEMPT=1", "GITHUB_WORKFLOW_REF=o/r/.github/workflows/nightly.yml@refs/heads/main", "SPIRE_JOBS="+c.jobs, "SPIRE_ALARMS="+c.alarms) {
				name, value, _ := strings.Cut(line, "=")
				t.Setenv(name, value)
			}
			err := Failure{}.Report(t.Context())
			if (err != nil) != (c.want != "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
			if kept := s.Count("^PUT .*/actions/workflows/nightly.yml/enable"); (kept == 1) != (c.jobs != "") {
				t.Errorf("the schedule is kept %d times", kept)
			}
			if got := s.Issues("o/r"); len(got) != c.issues {
				t.Errorf("%d issues, not %d", len(got), c.issues)
			}
		})
	}
}
