package hubtest

import (
	"strings"
	"testing"
)

const issuesPath = "/repos/o/r/issues"

func TestIssueLife(t *testing.T) {
	s := New(t)
	s.Repository(repo)
	s.AddIssue(repo, Issue{Title: "A change", PullRequest: true})
	answer := must(t, s, "POST", issuesPath, `{"title":"It fails","body":"why","labels":["nightly"]}`, 201)
	if answer["number"] != 2.0 || answer["state"] != "open" || answer["html_url"] != s.URL()+"/o/r/issues/2" || answer["pull_request"] != nil {
		t.Errorf("opened: %v", answer)
	}
	must(t, s, "POST", issuesPath+"/2/comments", `{"body":"so"}`, 201)
	if answer := must(t, s, "PATCH", issuesPath+"/2", `{"state":"closed","state_reason":"completed"}`, 200); answer["state"] != "closed" || answer["body"] != "why" {
		t.Errorf("closed: %v", answer)
	}
	got := s.Issues(repo)
	if len(got) != 2 || !got[1].Closed || len(got[1].Comments) != 1 || !got[0].PullRequest {
		t.Errorf("%+v", got)
	}
}

func TestIssueRefusals(t *testing.T) {
	long := strings.Repeat("x", bodyLimit+1)
	for path, c := range map[string]struct {
		method, body string
		want         int
		code         string
	}{
		issuesPath:                                  {"POST", `{"body":"x"}`, 422, "missing_field"},
		issuesPath + "?long":                        {"POST", `{"title":"x","body":"` + long + `"}`, 422, "custom"},
		issuesPath + "?title":                       {"POST", `{"title":"` + long + `"}`, 422, "custom"},
		issuesPath + "?no":                          {"POST", `{`, 400, ""},
		issuesPath + "/1":                           {"PATCH", `{"state":"done"}`, 422, "invalid"},
		issuesPath + "/1?long":                      {"PATCH", `{"body":"` + long + `"}`, 422, "custom"},
		issuesPath + "/2":                           {"PATCH", `{}`, 404, ""},
		issuesPath + "/1/comments":                  {"POST", `{"body":" "}`, 422, "unprocessable"},
		issuesPath + "/1/comments?l":                {"POST", `{"body":"` + long + `"}`, 422, "unprocessable"},
		issuesPath + "/0/comments":                  {"POST", `{"body":"x"}`, 404, ""},
		issuesPath + "/2/comments":                  {"GET", ``, 404, ""},
		"/repos/o/r/actions/runs/1/attempts/1/jobs": {"GET", ``, 404, ""},
	} {
		t.Run(path, func(t *testing.T) {
			s := New(t)
			s.AddIssue(repo, Issue{Title: "x"})
			if answer := must(t, s, c.method, path, c.body, c.want); code(answer) != c.code {
				t.Errorf("%v, not %s", answer, c.code)
			}
			if got := s.Issues(repo); len(got) != 1 || got[0].Body != "" || len(got[0].Comments) > 0 {
				t.Errorf("it changed something: %+v", got)
			}
		})
	}
}

func TestIssuesOff(t *testing.T) {
	s := New(t)
	s.AddIssue(repo, Issue{Title: "x"})
	s.AddIssue(repo, Issue{Title: "x", PullRequest: true})
	s.DisableIssues(repo)
	for path, method := range map[string]string{issuesPath: "POST", issuesPath + "/1": "PATCH", issuesPath + "/1/comments": "POST"} {
		if answer := must(t, s, method, path, `{"title":"x","body":"x"}`, 410); answer["message"] != "Issues has been disabled in this repository." {
			t.Errorf("%v", answer)
		}
	}
	must(t, s, "POST", issuesPath+"/2/comments", `{"body":"x"}`, 201)
}

func TestJobs(t *testing.T) {
	s := New(t)
	s.SetJobs(repo, 7, 2, make([]Job, 31)...)
	answer := must(t, s, "GET", "/repos/o/r/actions/runs/7/attempts/2/jobs", "", 200)
	jobs := answer["jobs"].([]any)
	if first := jobs[0].(map[string]any); answer["total_count"] != 31.0 || len(jobs) != 30 || first["conclusion"] != nil || first["status"] != "in_progress" {
		t.Errorf("%v", answer)
	}
}
