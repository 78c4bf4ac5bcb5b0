package failure

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func environment(t *testing.T, jobs, alarms string) {
	t.Helper()
	for name, value := range map[string]string{"GITHUB_WORKFLOW": "nightly", "GITHUB_RUN_ID": "16500000001", "GITHUB_RUN_ATTEMPT": "2", "SPIRE_JOBS": jobs, "SPIRE_ALARMS": alarms, "SPIRE_WAITING": ""} {
		t.Setenv(name, value)
	}
}

// needs is GitHub's context, as toJSON writes it.
const needs = `{
  "plan": {
    "result": "success",
    "outputs": {
      "versions": "[\"1.13.3\"]"
    }
  },
  "build": {
    "result": "cancelled",
    "outputs": {}
  }
}`

func TestFromEnvironment(t *testing.T) {
	for alarms, want := range map[string][]string{"": nil, "null": nil, "[]": {}, `["a tag \"moved\"","another"]`: {`a tag "moved"`, "another"}} {
		environment(t, needs, alarms)
		got, err := FromEnvironment()
		run := Run{Workflow: "nightly", ID: 16500000001, Attempt: 2, Results: map[string]string{"plan": "success", "build": "cancelled"}, Alarms: want}
		if diff := cmp.Diff(run, got); diff != "" || err != nil {
			t.Errorf("alarms %q (-want +got):\n%s%v", alarms, diff, err)
		}
	}
}

func TestWaitingFromEnvironment(t *testing.T) {
	environment(t, needs, "")
	t.Setenv("SPIRE_WAITING", `["1.15.3 waits"]`)
	if got, err := FromEnvironment(); err != nil || len(got.Waiting) != 1 || got.Waiting[0] != "1.15.3 waits" {
		t.Errorf("%+v %v", got, err)
	}
	t.Setenv("SPIRE_WAITING", "1.15.3")
	if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), "SPIRE_WAITING is not a list of strings") {
		t.Errorf("the error is %v", err)
	}
}

func TestFromWrongEnvironment(t *testing.T) {
	for name, c := range map[string]struct{ jobs, alarms, id, want string }{
		"no jobs":         {"", "", "1", "SPIRE_JOBS is not set: set it to ${{ toJSON(needs) }}"},
		"no JSON":         {"success", "", "1", "SPIRE_JOBS is not the results of jobs as JSON"},
		"cut JSON":        {needs[:20], "", "1", "SPIRE_JOBS is not the results of jobs as JSON"},
		"more than JSON":  {needs + "x", "", "1", "SPIRE_JOBS is not the results of jobs as JSON"},
		"a list":          {`["plan"]`, "", "1", "SPIRE_JOBS is not the results of jobs as JSON"},
		"none":            {"{}", "", "1", "SPIRE_JOBS has no job in it"},
		"null":            {"null", "", "1", "SPIRE_JOBS has no job in it"},
		"no result":       {`{"plan":{}}`, "", "1", `the result of "plan" is "", not success, failure, cancelled or skipped`},
		"another result":  {`{"plan":{"result":"Success"}}`, "", "1", `is "Success"`},
		"no alarms":       {needs, "{}", "1", "SPIRE_ALARMS is not a list of strings"},
		"alarms no texts": {needs, "[1]", "1", "SPIRE_ALARMS is not a list of strings"},
		"no run":          {needs, "", "", `GITHUB_RUN_ID="" is no number`},
		"a wrong run":     {needs, "", "0", `GITHUB_RUN_ID="0" is no number`},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, c.jobs, c.alarms)
			t.Setenv("GITHUB_RUN_ID", c.id)
			if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error lacks %q: %v", c.want, err)
			}
		})
	}
}

// A name that a marker cannot hold is none.
func TestFromWrongWorkflow(t *testing.T) {
	for _, name := range []string{"", "Nightly", ".github/workflows/x.yml", "a -->"} {
		environment(t, needs, "")
		t.Setenv("GITHUB_WORKFLOW", name)
		if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), "GITHUB_WORKFLOW=") {
			t.Errorf("%q: the error is %v", name, err)
		}
	}
}
