package hub

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

func TestPullLife(t *testing.T) {
	s := hubtest.New(t)
	r, log := open(t, s, nil)
	ctx := t.Context()
	base := s.AddCommit(ours, "main", hubtest.Commit{Message: "first", Files: map[string]string{"a/b": "old", "c": "c"}})
	if at, err := r.Branch(ctx, "x-1.2.3"); at != "" || err != nil {
		t.Errorf("no branch is at %q, %v", at, err)
	}
	parent, err := r.Commit(ctx, base)
	if err != nil || parent.SHA != base || parent.Message != "first" || parent.Tree == "" {
		t.Errorf("%+v %v", parent, err)
	}
	for _, content := range []string{"new", "newer"} {
		before, err := r.Branch(ctx, "x-1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		made, err := r.MakeCommit(ctx, parent, "second", "a/b", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetBranch(ctx, "x-1.2.3", before, made.SHA); err != nil {
			t.Fatal(err)
		}
		want := hubtest.Commit{SHA: made.SHA, Message: "second", Parents: []string{base}, Files: map[string]string{"a/b": content, "c": "c"}}
		if diff := cmp.Diff(want, s.Branch(ours, "x-1.2.3")); diff != "" || made.Parents[0] != base {
			t.Error(diff)
		}
		if blob, err := r.Blob(ctx, "a/b", made.SHA); err != nil || len(blob) != 40 {
			t.Errorf("%q %v", blob, err)
		}
	}
	to, err := r.DefaultBranch(ctx)
	if err != nil || to != "main" {
		t.Errorf("the default branch is %q: %v", to, err)
	}
	made, err := r.CreatePull(ctx, "title", "body", "x-1.2.3", to)
	want := Pull{Number: 1, Title: "title", Body: "body", URL: s.URL() + "/o/r/pull/1", Open: true}
	if diff := cmp.Diff(want, made); diff != "" || err != nil {
		t.Errorf("opened (-want +got):\n%s%v", diff, err)
	}
	if made, err = r.EditPull(ctx, 1, "title", "other"); made.Body != "other" || err != nil {
		t.Errorf("%+v %v", made, err)
	}
	if log.String() != "" {
		t.Error(log)
	}
}

// Those of a branch, newest first, whatever became of them; no issue, and no other's.
func TestPulls(t *testing.T) {
	s := hubtest.New(t)
	r, _ := open(t, s, nil)
	for i := range 250 {
		one := hubtest.Issue{Title: "x", PullRequest: i%5 != 0, Head: []string{"x", "y"}[i%2], Base: "main", Closed: i%3 == 0, Merged: i%9 == 0}
		s.AddIssue(ours, one)
	}
	pulls, err := r.Pulls(t.Context(), "y")
	if err != nil || len(pulls) != 100 || s.Count("^GET .*[&?]page=2") != 0 {
		t.Fatalf("%d, %v", len(pulls), err)
	}
	for i, one := range pulls {
		number := one.Number - 1
		if number%2 != 1 || number%5 == 0 || one.Open == (number%3 == 0) || one.Merged != (number%9 == 0) || i > 0 && one.Number > pulls[i-1].Number {
			t.Errorf("%d: %+v", i, one)
		}
	}
}

func TestPullRefusals(t *testing.T) {
	checkRefusals(t, map[string]refusal{
		"may not push": {
			func(_ *hubtest.Server, o *Settings) { o.Token = hubtest.ReadToken },
			func(r *Repository) error { return r.SetBranch(t.Context(), "x", "", "y") },
			[]string{"making the branch x of o/r", "answered 403 (Resource not accessible by integration)", "contents: write on o/r"},
		},
		"may not open": {
			func(s *hubtest.Server, _ *Settings) { s.ForbidPulls(ours) },
			func(r *Repository) error { _, err := r.CreatePull(t.Context(), "t", "b", "x", "main"); return err },
			[]string{"opening a pull request of o/r", "answered 403 (GitHub Actions is not permitted", "pull-requests: write on o/r", `"Allow GitHub Actions to create and approve pull requests"`},
		},
		"no such commit": {
			func(*hubtest.Server, *Settings) {},
			func(r *Repository) error { _, err := r.Commit(t.Context(), strings.Repeat("f", 40)); return err },
			[]string{"reading the commit ffff", "answered 404"},
		},
		"no such branch": {
			func(*hubtest.Server, *Settings) {},
			func(r *Repository) error { _, err := r.CreatePull(t.Context(), "t", "b", "x", "main"); return err },
			[]string{"answered 422 (Validation Failed; PullRequest head invalid"},
		},
	})
}
