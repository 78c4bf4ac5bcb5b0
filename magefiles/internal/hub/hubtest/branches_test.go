package hubtest

import (
	"fmt"
	"strings"
	"testing"
)

const nowhere = "ffffffffffffffffffffffffffffffffffffffff"

// A branch with one commit more, and its pull request, as the API makes them.
func TestPullLife(t *testing.T) {
	s := New(t)
	base := s.AddCommit(repo, "main", Commit{Message: "first", Files: map[string]string{"a/b": "old\n", "c": "c"}})
	answer := must(t, s, "GET", "/repos/o/r/git/commits/"+base, "", 200)
	tree := answer["tree"].(map[string]any)["sha"]
	answer = must(t, s, "POST", "/repos/o/r/git/trees", fmt.Sprintf(`{"base_tree":%q,"tree":[{"path":"a/b","mode":"100644","type":"blob","content":"new\n"}]}`, tree), 201)
	answer = must(t, s, "POST", "/repos/o/r/git/commits", fmt.Sprintf(`{"message":"second","tree":%q,"parents":[%q]}`, answer["sha"], base), 201)
	made := answer["sha"].(string)
	must(t, s, "POST", "/repos/o/r/git/refs", fmt.Sprintf(`{"ref":"refs/heads/x","sha":%q}`, made), 201)
	if got := s.Branch(repo, "x"); got.Message != "second" || got.Files["a/b"] != "new\n" || got.Files["c"] != "c" || got.Parents[0] != base {
		t.Errorf("the branch has %+v", got)
	}
	// The name is that of `printf 'new\n' | git hash-object --stdin`.
	if answer := must(t, s, "GET", "/repos/o/r/contents/a/b?ref="+made, "", 200); answer["sha"] != "3e757656cf36eca53338e520d134963a44f793f8" || answer["content"] != "bmV3Cg==" {
		t.Errorf("the content is %v", answer)
	}
	answer = must(t, s, "POST", "/repos/o/r/pulls", `{"title":"t","body":"b","head":"x","base":"main"}`, 201)
	if answer["number"] != 1.0 || answer["state"] != "open" || answer["html_url"] != s.URL()+"/o/r/pull/1" || answer["merged_at"] != nil {
		t.Errorf("opened: %v", answer)
	}
	if answer := must(t, s, "PATCH", "/repos/o/r/pulls/1", `{"body":"c","state":"closed"}`, 200); answer["body"] != "c" || answer["state"] != "closed" {
		t.Errorf("closed: %v", answer)
	}
	must(t, s, "PATCH", "/repos/o/r/git/refs/heads/x", fmt.Sprintf(`{"sha":%q,"force":true}`, base), 200)
	if answer := must(t, s, "GET", "/repos/o/r/git/ref/heads/x", "", 200); answer["object"].(map[string]any)["sha"] != base {
		t.Errorf("moved: %v", answer)
	}
}

func TestPullRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body string
		want               int
		message            string
	}{
		"no branch":           {"GET", "git/ref/heads/y", "", 404, "Not Found"},
		"no commit":           {"GET", "git/commits/" + nowhere, "", 404, "Not Found"},
		"a short commit":      {"GET", "git/commits/abc", "", 422, "40 characters"},
		"no file":             {"GET", "contents/y?ref=main", "", 404, "Not Found"},
		"no ref":              {"GET", "contents/a?ref=y", "", 404, "No commit found for the ref y"},
		"no base tree":        {"POST", "git/trees", `{"base_tree":"` + nowhere + `"}`, 404, "Not Found"},
		"a file's mode":       {"POST", "git/trees", `{"tree":[{"path":"a","mode":"777","type":"blob"}]}`, 422, "tree.mode"},
		"no tree":             {"POST", "git/commits", `{"message":"m","tree":"` + nowhere + `"}`, 422, "Tree SHA does not exist"},
		"no message":          {"POST", "git/commits", `{}`, 422, "Validation Failed"},
		"a branch's commit":   {"POST", "git/refs", `{"ref":"refs/heads/y","sha":"` + nowhere + `"}`, 422, "Object does not exist"},
		"a branch's name":     {"POST", "git/refs", `{"ref":"y","sha":"` + nowhere + `"}`, 422, "must start with"},
		"a branch again":      {"POST", "git/refs", `{"ref":"refs/heads/x","sha":"MAIN"}`, 422, "Reference already exists"},
		"no branch to move":   {"PATCH", "git/refs/heads/y", `{"sha":"MAIN"}`, 422, "Reference does not exist"},
		"backwards":           {"PATCH", "git/refs/heads/x", `{"sha":"MAIN"}`, 422, "not a fast forward"},
		"no title":            {"POST", "pulls", `{"head":"x","base":"main"}`, 422, "Validation Failed"},
		"no head":             {"POST", "pulls", `{"title":"t","head":"y","base":"main"}`, 422, "Validation Failed"},
		"no base":             {"POST", "pulls", `{"title":"t","head":"x","base":"y"}`, 422, "Validation Failed"},
		"nothing to merge":    {"POST", "pulls", `{"title":"t","head":"main","base":"main"}`, 422, "No commits between main and main"},
		"a second one":        {"POST", "pulls", `{"title":"t","head":"z","base":"main"}`, 422, "A pull request already exists for o:z."},
		"an issue":            {"PATCH", "pulls/1", `{"title":"t"}`, 404, "Not Found"},
		"none of that number": {"PATCH", "pulls/9", `{"title":"t"}`, 404, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(t)
			base := s.AddCommit(repo, "main", Commit{Files: map[string]string{"a": "a"}})
			s.AddCommit(repo, "x", Commit{Parents: []string{base}, Files: map[string]string{"a": "b"}})
			s.AddCommit(repo, "z", Commit{Parents: []string{base}, Files: map[string]string{"a": "c"}})
			s.AddIssue(repo, Issue{Title: "x"})
			s.AddIssue(repo, Issue{Title: "x", PullRequest: true, Head: "z", Base: "main"})
			answer := must(t, s, c.method, "/repos/o/r/"+c.path, strings.ReplaceAll(c.body, "MAIN", base), c.want)
			if !strings.Contains(fmt.Sprint(answer), c.message) {
				t.Errorf("%v, not %s", answer, c.message)
			}
		})
	}
	s := New(t)
	s.ForbidPulls(repo)
	if answer := must(t, s, "POST", "/repos/o/r/pulls", `{"title":"t"}`, 403); answer["message"] != "GitHub Actions is not permitted to create or approve pull requests." {
		t.Errorf("forbidden: %v", answer)
	}
}
