package hub

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

func TestIssueLife(t *testing.T) {
	s := hubtest.New(t)
	r, log := open(t, s, nil)
	ctx := t.Context()
	made, err := r.CreateIssue(ctx, "It fails", "first", "nightly", "bug")
	want := Issue{1, "It fails", "first", s.URL() + "/o/r/issues/1", made.Created}
	if diff := cmp.Diff(want, made); diff != "" || err != nil || made.Created.IsZero() {
		t.Errorf("opened (-want +got):\n%s%v", diff, err)
	}
	if err := errors.Join(r.EditIssue(ctx, 1, IssueEdit{Body: "second"}), r.Comment(ctx, 1, "one"), r.Comment(ctx, 1, "two")); err != nil {
		t.Error(err)
	}
	if got, err := r.Issues(ctx, "nightly"); err != nil || len(got) != 1 || got[0].Body != "second" || got[0].Title != "It fails" {
		t.Errorf("listed: %+v %v", got, err)
	}
	if got, err := r.Comments(ctx, 1); err != nil || !cmp.Equal(got, []string{"one", "two"}) {
		t.Errorf("comments: %q %v", got, err)
	}
	if err := r.EditIssue(ctx, 1, IssueEdit{State: "closed", Reason: "completed"}); err != nil {
		t.Error(err)
	}
	if got, err := r.Issues(ctx, "nightly"); err != nil || len(got) != 0 {
		t.Errorf("closed, and listed: %+v %v", got, err)
	}
	got := s.Issues(ours)[0]
	if !got.Closed || got.Body != "second" || got.Reason != "completed" || log.String() != "" {
		t.Errorf("closed: %+v, log %q", got, log)
	}
}

// Of a long list only what was asked for comes, in its order, and no pull request.
func TestIssues(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	var want []int
	for i := range 450 {
		one := hubtest.Issue{Title: fmt.Sprint(i), Labels: []string{"x", "nightly"}, PullRequest: i%3 == 0, Closed: i%5 == 0}
		if i%2 == 0 {
			one.Labels = nil
		}
		if number := s.AddIssue(ours, one); i%2 != 0 && i%3 != 0 && i%5 != 0 {
			want = append(want, number)
		}
	}
	found, err := r.Issues(t.Context(), "nightly")
	var got []int
	for _, one := range found {
		got = append(got, one.Number)
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || s.Count("^GET .*[&?]page=2") != 1 {
		t.Errorf("(-want +got):\n%s%v\n%v", diff, err, s.Calls())
	}
}

// A job may have no conclusion yet; there may be more jobs than a page has.
func TestJobs(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	jobs := []hubtest.Job{{Name: "build (1.13.3)", Conclusion: "failure", Steps: []hubtest.Step{{Name: "Set up job", Conclusion: "success"}, {Name: "Run", Conclusion: "failure"}, {Name: "Post"}}}, {Name: "failure-report"}}
	for i := range 128 {
		jobs = append(jobs, hubtest.Job{Name: fmt.Sprint(i), Conclusion: "success"})
	}
	s.SetJobs(ours, 7, 2, jobs...)
	got, err := r.Jobs(t.Context(), 7, 2)
	if len(got) != 130 || err != nil {
		t.Fatalf("%d jobs, %v", len(got), err)
	}
	want := []Job{{"build (1.13.3)", "failure", s.URL() + "/o/r/actions/runs/7/job/1", []Step{{"Set up job", "success"}, {"Run", "failure"}, {"Post", ""}}}, {Name: "failure-report", URL: s.URL() + "/o/r/actions/runs/7/job/2"}}
	if diff := cmp.Diff(want, got[:2]); diff != "" || got[129].Name != "127" {
		t.Errorf("(-want +got):\n%s%+v", diff, got[129])
	}
	if _, err := r.Jobs(t.Context(), 7, 1); !NotFound(err) {
		t.Errorf("another attempt: %v", err)
	}
}

// What is not answered is asked again where that does no harm, and only there.
func TestIssueFaults(t *testing.T) {
	for name, effect := range map[string]hubtest.Effect{"500": hubtest.Status(500), "stored, 502": hubtest.Stored(502), "reset": hubtest.Reset(), "half": hubtest.Truncate(), "429": hubtest.RetryAfter(429, 0)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubtest.New(t)
			r, _ := open(t, s, nil)
			s.SetJobs(ours, 7, 1, hubtest.Job{Name: "plan"})
			number := s.AddIssue(ours, hubtest.Issue{Title: "x", Labels: []string{"nightly"}, Comments: []string{"one"}})
			for _, match := range []string{"^GET .*/issues[?]", "^GET .*/comments", "^GET .*/jobs", "^PATCH"} {
				s.Fail(hubtest.Fault{Match: match, Do: effect})
			}
			ctx := t.Context()
			issues, err1 := r.Issues(ctx, "nightly")
			comments, err2 := r.Comments(ctx, number)
			jobs, err3 := r.Jobs(ctx, 7, 1)
			err := errors.Join(err1, err2, err3, r.EditIssue(ctx, number, IssueEdit{Body: "new"}))
			if err != nil || len(issues)+len(comments)+len(jobs) != 3 || s.Issues(ours)[0].Body != "new" {
				t.Errorf("%v, %v, %v: %v", issues, comments, jobs, err)
			}
			s.Fail(hubtest.Fault{Match: "^POST", Do: effect})
			_, err = r.CreateIssue(ctx, "y", "")
			if calls := s.Count("^POST"); (err == nil) != (name == "429") || (err != nil && calls != 1) || len(s.Issues(ours)) > 2 {
				t.Errorf("%d calls, %d issues, %v", calls, len(s.Issues(ours)), err)
			}
		})
	}
}

// refusal is a call that is refused, and what the error has to say.
type refusal struct {
	change func(*hubtest.Server, *Settings)
	call   func(*Repository) error
	want   []string
}

func checkRefusals(t *testing.T, refusals map[string]refusal) {
	t.Helper()
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			r, _ := open(t, s, func(o *Settings) { c.change(s, o) })
			err := c.call(r)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			if calls := len(s.Calls()); calls != 1 {
				t.Errorf("%d calls", calls)
			}
		})
	}
}

// What is refused says what to do, which is not what a release needs.
func TestIssueRefusals(t *testing.T) {
	checkRefusals(t, map[string]refusal{
		"may not write": {
			func(_ *hubtest.Server, o *Settings) { o.Token = hubtest.ReadToken },
			func(r *Repository) error { _, err := r.CreateIssue(t.Context(), "x", ""); return err },
			[]string{"opening an issue of o/r", "answered 403 (Resource not accessible by integration)", "issues: write on o/r"},
		},
		"may not read jobs": {
			func(s *hubtest.Server, _ *Settings) { s.Fail(hubtest.Fault{Do: hubtest.Status(http.StatusForbidden)}) },
			func(r *Repository) error { _, err := r.Jobs(t.Context(), 7, 1); return err },
			[]string{"listing the jobs of the run 7 of o/r", "answered 403", "actions: read on o/r"},
		},
		"may not keep the schedule": {
			func(_ *hubtest.Server, o *Settings) { o.Token = hubtest.ReadToken },
			func(r *Repository) error { return r.KeepSchedule(t.Context(), "nightly.yml") },
			[]string{"keeping the schedule of nightly.yml of o/r", "answered 403", "actions: write on o/r"},
		},
		"no issues": {
			func(s *hubtest.Server, _ *Settings) { s.DisableIssues(ours) },
			func(r *Repository) error { _, err := r.CreateIssue(t.Context(), "x", ""); return err },
			[]string{"answered 410 (Issues has been disabled in this repository.)", "switch issues on"},
		},
		"no such issue": {
			func(*hubtest.Server, *Settings) {},
			func(r *Repository) error { return r.Comment(t.Context(), 9, "x") },
			[]string{"commenting on the issue 9", "answered 404"},
		},
		"too long": {
			func(*hubtest.Server, *Settings) {},
			func(r *Repository) error {
				_, err := r.CreateIssue(t.Context(), "x", strings.Repeat("ü", IssueLimit+1))
				return err
			},
			[]string{"answered 422 (Validation Failed; Issue body custom body is too long (maximum is 65536 characters))"},
		},
	})
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	if _, err := r.CreateIssue(t.Context(), "x", strings.Repeat("ü", IssueLimit)); err != nil {
		t.Errorf("just not too long: %v", err)
	}
}

// Where issues are switched off, pull requests are listed, and are not ours.
func TestIssuesOff(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	s.AddIssue(ours, hubtest.Issue{Labels: []string{"nightly"}})
	s.AddIssue(ours, hubtest.Issue{Labels: []string{"nightly"}, PullRequest: true})
	s.DisableIssues(ours)
	if got, err := r.Issues(t.Context(), "nightly"); len(got) != 0 || err != nil {
		t.Errorf("%v %v", got, err)
	}
}
