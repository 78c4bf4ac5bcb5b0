package adoption

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

const (
	ours       = "o/r"
	branch     = "adopt-1.15.3"
	definition = "srpm/spire/source.yaml"
)

// night is a GitHub, and what a night wants of it.
type night struct {
	*testing.T
	server *hubtest.Server
	pull   Pull
	log    bytes.Buffer
}

func newNight(t *testing.T) *night {
	t.Helper()
	n := &night{T: t, server: hubtest.New(t)}
	base := n.server.AddCommit(ours, "main", hubtest.Commit{Message: "main", Files: map[string]string{definition: "old\n", "other": "other\n"}})
	at, err := hub.Open(hub.Settings{Token: hubtest.Token, API: n.server.API(), Server: n.server.URL(), Attempts: 2, Pause: time.Millisecond}, ours)
	if err != nil {
		t.Fatal(err)
	}
	n.pull = Pull{Hub: at, Findings: findings(), Base: base, File: definition, Content: []byte("new\n"), Log: &n.log}
	return n
}

// open does it once, and wants a word in what it says.
func (n *night) open(did, url string) {
	n.Helper()
	report, err := n.pull.open(n.Context(), time.Millisecond)
	if err != nil || !strings.Contains(report.Did, did) || report.URL != n.server.URL()+url {
		n.Fatalf("%+v (%v), not %s at %s", report, err, did, url)
	}
}

// pushes is what a person does to the branch.
func (n *night) pushes(message, content string, parents ...string) {
	files := maps.Clone(n.server.Branch(ours, branch).Files)
	files[definition] = content
	n.server.AddCommit(ours, branch, hubtest.Commit{Message: message, Files: files, Parents: parents})
}

// unchanged does it again, and wants nothing to be written.
func (n *night) unchanged(did, url string) {
	n.Helper()
	n.server.Forget()
	n.open(did, url)
	for _, call := range n.server.Calls() {
		if call.Writes() {
			n.Errorf("it makes the call %s", call)
		}
	}
}

func TestOpen(t *testing.T) {
	n := newNight(t)
	n.open("opened", "/o/r/pull/1")
	head, pulls := n.server.Branch(ours, branch), n.server.Issues(ours)
	if head.Files[definition] != "new\n" || head.Files["other"] != "other\n" || fmt.Sprint(head.Parents) != fmt.Sprint([]string{n.pull.Base}) || !strings.HasPrefix(head.Message, "Adopt SPIRE 1.15.3\n\n") {
		t.Errorf("the branch has %+v", head)
	}
	if len(pulls) != 1 || pulls[0].Head != branch || pulls[0].Base != "main" || pulls[0].Body != findings().Markdown() || pulls[0].Title != "Adopt SPIRE 1.15.3" {
		t.Errorf("the pull requests are %+v", pulls)
	}
	n.unchanged("as it was", "/o/r/pull/1")
	if main := n.server.Branch(ours, "main"); main.SHA != n.pull.Base {
		t.Errorf("main has %+v", main)
	}
}

func TestWaiting(t *testing.T) {
	n := newNight(t)
	n.open("opened", "/o/r/pull/1")
	n.server.AddIssue(ours, hubtest.Issue{PullRequest: true, Head: "adopt-1.14.7", Base: "main", Closed: true})
	want := []string{"1.15.3 waits for a person: " + n.server.URL() + "/o/r/pull/1"}
	if diff := cmp.Diff(want, Waiting(t.Context(), n.pull.Hub, spire, []string{"1.15.3", "1.14.7", "1.13.3"})); diff != "" {
		t.Error(diff)
	}
	n.server.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(403)})
	if got := Waiting(t.Context(), n.pull.Hub, spire, []string{"1.15.3"}); len(got) != 1 || !strings.Contains(got[0], "is not known: ") || !strings.Contains(got[0], "pull-requests: read") {
		t.Errorf("%q", got)
	}
}

// What is found otherwise is written anew, in one commit after main's newest.
func TestOpenAgain(t *testing.T) {
	n := newNight(t)
	n.open("opened", "/o/r/pull/1")
	n.pull.Base = n.server.AddCommit(ours, "main", hubtest.Commit{Message: "more", Parents: []string{n.pull.Base}, Files: map[string]string{definition: "old\n", "other": "newer\n"}})
	n.unchanged("as it was", "/o/r/pull/1") // main alone is no reason
	n.pull.Content = []byte("newer\n")
	n.open("up to date", "/o/r/pull/1")
	if head := n.server.Branch(ours, branch); head.Files[definition] != "newer\n" || head.Files["other"] != "newer\n" || fmt.Sprint(head.Parents) != fmt.Sprint([]string{n.pull.Base}) {
		t.Errorf("the branch has %+v", head)
	}
	n.pull.Findings.Patches = nil
	n.open("up to date", "/o/r/pull/1")
	if body := n.server.Issues(ours)[0].Body; body != n.pull.Findings.Markdown() {
		t.Errorf("the text is %s", body)
	}
}

// What others have made of it stays, night after night.
func TestOthers(t *testing.T) {
	for name, c := range map[string]struct {
		did, url string
		others   func(n *night)
	}{
		"a commit more": {"somebody works on", "/o/r/pull/1", func(n *night) {
			n.open("opened", "/o/r/pull/1")
			n.pushes("judged", "judged\n", n.server.Branch(ours, branch).SHA)
		}},
		"our commit, amended": {"somebody works on", "/o/r/pull/1", func(n *night) {
			n.open("opened", "/o/r/pull/1")
			n.pushes(n.server.Branch(ours, branch).Message, "judged\n", n.pull.Base)
		}},
		"a branch of the name": {"somebody's own", "/o/r/tree/" + branch, func(n *night) {
			n.server.AddCommit(ours, branch, hubtest.Commit{Message: "mine", Files: map[string]string{definition: "mine\n"}})
		}},
		"a pull request of their own": {"somebody works on", "/o/r/pull/1", func(n *night) {
			n.server.AddCommit(ours, branch, hubtest.Commit{Message: "mine", Files: map[string]string{definition: "mine\n"}})
			n.server.AddIssue(ours, hubtest.Issue{Title: "Mine", Body: "mine", PullRequest: true, Head: branch, Base: "main"})
		}},
		"closed by a person": {"somebody closed", "/o/r/pull/1", func(n *night) {
			n.server.AddIssue(ours, hubtest.Issue{Body: findings().marker(), PullRequest: true, Head: branch, Base: "main", Closed: true})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNight(t)
			c.others(n)
			before, pulls := n.server.Branch(ours, branch), n.server.Issues(ours)
			n.pull.Content = []byte("another night's\n")
			n.unchanged(c.did, c.url)
			if after := n.server.Branch(ours, branch); after.SHA != before.SHA || fmt.Sprint(n.server.Issues(ours)) != fmt.Sprint(pulls) {
				t.Errorf("the branch was %+v, and is %+v", before, after)
			}
		})
	}
}

// One that was merged, or somebody else's that was closed, is in nobody's way.
func TestOpenAfterMerge(t *testing.T) {
	for _, earlier := range []hubtest.Issue{{Body: findings().marker(), Merged: true}, {Body: "mine"}} {
		n := newNight(t)
		earlier.PullRequest, earlier.Closed, earlier.Head, earlier.Base = true, true, branch, "main"
		n.server.AddIssue(ours, earlier)
		n.open("opened", "/o/r/pull/2")
	}
}

// A run that is cut anywhere is finished by the next, or by its own second look: there
// is one branch and one pull request.
func TestCutOff(t *testing.T) {
	for _, call := range []string{"^GET .*/pulls", "^GET .*/git/ref", "^GET .*/git/commits", "^POST .*/git/trees", "^POST .*/git/commits", "^POST .*/git/refs", "^GET /repos/o/r$", "^POST .*/pulls"} {
		for name, effect := range map[string]hubtest.Effect{"500": hubtest.Status(500), "stored, 502": hubtest.Stored(502), "stored, reset": hubtest.StoredReset()} {
			t.Run(call+" "+name, func(t *testing.T) {
				n := newNight(t)
				n.server.Fail(hubtest.Fault{Match: call, Do: effect})
				report, err := n.pull.open(t.Context(), time.Millisecond)
				if err != nil || report.URL != n.server.URL()+"/o/r/pull/1" {
					t.Errorf("%+v %v", report, err)
				}
				if pulls := n.server.Issues(ours); len(pulls) != 1 || n.server.Branch(ours, branch).Files[definition] != "new\n" {
					t.Errorf("%d pull requests, the branch has %+v", len(pulls), n.server.Branch(ours, branch))
				}
			})
		}
	}
}

func TestOpenRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(n *night)
		want   string
	}{
		"may not open":      {func(n *night) { n.server.ForbidPulls(ours) }, "Allow GitHub Actions to create"},
		"was never pushed":  {func(n *night) { n.pull.Base = strings.Repeat("f", 40) }, "which has to be pushed"},
		"GitHub is limping": {func(n *night) { n.server.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(500)}) }, "asking people to adopt 1.15.3"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNight(t)
			c.change(n)
			if report, err := n.pull.open(t.Context(), time.Millisecond); err == nil || !strings.Contains(err.Error(), c.want) || report != (Report{}) {
				t.Errorf("%+v, and the error lacks %q: %v", report, c.want, err)
			}
		})
	}
}
