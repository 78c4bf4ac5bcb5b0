package failure

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

const repository = "o/r"

// scene is a fake GitHub, on which nights pass.
type scene struct {
	testing.TB
	server *hubtest.Server
	token  string
	now    time.Time
}

func newScene(t testing.TB) *scene {
	t.Helper()
	server := hubtest.New(t)
	server.Repository(repository)
	return &scene{t, server, hubtest.Token, time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC)}
}

// settle settles a run whose jobs are those, a day later than the one before.
func (s *scene) settle(run Run, jobs ...hubtest.Job) (Report, error) {
	s.Helper()
	if jobs != nil {
		s.server.SetJobs(repository, run.ID, run.Attempt, jobs...)
	}
	at, err := hub.Open(hub.Settings{Token: s.token, API: s.server.API(), Server: s.server.URL(), Log: s.Output(), Attempts: 2, Pause: time.Millisecond}, repository)
	if err != nil {
		s.Fatal(err)
	}
	s.now = s.now.AddDate(0, 0, 1)
	return Issue{at, run, s.Output()}.settle(s.Context(), s.now, time.Millisecond)
}

// night is settle where it goes well, and what is there afterwards.
func (s *scene) night(run Run, jobs ...hubtest.Job) []hubtest.Issue {
	s.Helper()
	if _, err := s.settle(run, jobs...); err != nil {
		s.Fatal(err)
	}
	return s.server.Issues(repository)
}

// golden compares a text, in which the server has a name.
func (s *scene) golden(name, text string) {
	s.Helper()
	golden.Check(s, name, strings.ReplaceAll(text, s.server.URL(), "https://github.example"))
}

// red and green are runs; broke is the job that red has.
func red(id int64) Run {
	return Run{Workflow: "nightly", ID: id, Attempt: 1, Results: map[string]string{"plan": success, "build": failure, "release": skipped}}
}

func green(id int64) Run {
	return Run{Workflow: "nightly", ID: id, Attempt: 1, Results: map[string]string{"plan": success, "build": success, "release": skipped}}
}

func broke(name, step string) hubtest.Job {
	return hubtest.Job{Name: name, Conclusion: failure, Steps: []hubtest.Step{{Name: "Set up job", Conclusion: success}, {Name: step, Conclusion: failure}, {Name: "After", Conclusion: skipped}}}
}

func others() []hubtest.Job {
	return []hubtest.Job{{Name: "plan", Conclusion: success}, {Name: "release", Conclusion: skipped}, {Name: "failure-report"}}
}

// counts wants so many issues, open ones, and comments on all of them.
func (s *scene) counts(issues, open, comments int) {
	s.Helper()
	all := s.server.Issues(repository)
	got := [3]int{len(all)}
	for _, one := range all {
		if !one.Closed {
			got[1]++
		}
		got[2] += len(one.Comments)
	}
	if want := [3]int{issues, open, comments}; got != want {
		s.Errorf("%v issues, open ones, comments, not %v: %+v", got, want, all)
	}
}

// A version that waits for a person is no failure; where there is one, both are named.
func TestWaiting(t *testing.T) {
	const line = "1.15.3 waits for a person: https://github.example/o/r/pull/1"
	s := newScene(t)
	quiet := green(1)
	quiet.Waiting = []string{line}
	report, err := s.settle(quiet)
	var said strings.Builder
	report.Print(&said)
	if want := line + "\nnothing failed, and no issue is open\n"; said.String() != want || err != nil {
		t.Errorf("%q (%v), not %q", said.String(), err, want)
	}
	s.counts(0, 0, 0)
	bad := red(2)
	bad.Waiting = []string{line}
	if body := s.night(bad, broke("build", "Run"))[0].Body; !strings.Contains(body, "\n\nBeside that, and no failure:\n\n- `"+line+"`\n") {
		t.Errorf("the issue says\n%s", body)
	}
	bad.ID, bad.Waiting = 3, nil
	s.night(bad, broke("build", "Run"))
	s.counts(1, 1, 0) // that nobody waits any more is no other failure
}

// The whole story: it fails, again, otherwise, recovers, and fails anew.
func TestStory(t *testing.T) {
	s := newScene(t)
	s.night(green(1))
	s.counts(0, 0, 0)
	jobs := append(others(), broke("build (1.13.3, amd64)", "Run go run magefile.go build"))
	opened := s.night(red(2), jobs...)[0]
	if opened.Title != "The nightly run fails" || len(opened.Labels) != 1 || opened.Labels[0] != "nightly" {
		t.Errorf("%+v", opened)
	}
	s.golden("opened.md", opened.Body)
	s.golden("again.md", s.night(red(3), jobs...)[0].Body)
	s.counts(1, 1, 0)

	otherwise := red(4)
	otherwise.Results["release"], otherwise.Alarms = cancelled, []string{"the tag v1.13.3 has moved"}
	jobs[1] = hubtest.Job{Name: "release", Conclusion: cancelled}
	changed := s.night(otherwise, jobs...)[0]
	s.counts(1, 1, 1)
	s.golden("changed.md", changed.Body)
	s.golden("comment.md", changed.Comments[0])

	closed := s.night(green(5))[0]
	s.counts(1, 0, 2)
	if want := fmt.Sprintf("Recovered in [run 5, attempt 1](%s/o/r/actions/runs/5/attempts/1).", s.server.URL()); closed.Comments[1] != want || closed.Reason != "completed" {
		t.Errorf("%+v", closed)
	}
	s.server.Forget()
	s.night(green(6))
	if n := s.server.Count("^(POST|PATCH)"); n > 0 {
		t.Errorf("%d changes where there is nothing to do", n)
	}
	anew := s.night(red(7), jobs...)
	s.counts(2, 1, 2)
	if got := stateOf(hub.Issue{Body: anew[1].Body}); got.Runs != 1 || !got.First.Equal(s.now) {
		t.Errorf("the count goes on: %+v", got)
	}
}

// What is said of it tells what was done.
func TestReport(t *testing.T) {
	s := newScene(t)
	other := red(3)
	other.Alarms = []string{"!"}
	for _, c := range []struct {
		run  Run
		want string
	}{
		{green(1), "nothing failed, and no issue is open\n"},
		{red(2), "opened the issue: https://github.example/o/r/issues/1\n"},
		{red(2), "brought the issue up to date: https://github.example/o/r/issues/1\n"},
		{other, "brought the issue up to date, with a comment, since something else fails now: https://github.example/o/r/issues/1\n"},
		{green(4), "nothing failed: closed the issue: https://github.example/o/r/issues/1\n"},
	} {
		report, err := s.settle(c.run, others()...)
		var out strings.Builder
		report.Print(&out)
		if got := strings.ReplaceAll(out.String(), s.server.URL(), "https://github.example"); got != c.want || err != nil {
			t.Errorf("%q, not %q; %v", got, c.want, err)
		}
	}
}

// A run that is settled twice, or whose jobs are run again, is one run. So is
// one that is older than the last.
func TestSameRun(t *testing.T) {
	s := newScene(t)
	job := broke("build", "Run")
	for _, step := range []struct {
		id      int64
		attempt int
		want    int
	}{{7, 1, 1}, {7, 1, 1}, {7, 2, 1}, {8, 1, 2}, {7, 3, 2}, {9, 1, 3}} {
		run := red(step.id)
		run.Attempt = step.attempt
		issues := s.night(run, job)
		if got := stateOf(hub.Issue{Body: issues[0].Body}); got.Runs != step.want || len(issues) != 1 || !strings.Contains(issues[0].Body, fmt.Sprintf("runs in a row that failed: %d\n", step.want)) {
			t.Errorf("%+v: %+v, %d issues", step, got, len(issues))
		}
	}
	s.counts(1, 1, 0)
}

// A comment goes out by mail: only when what fails is something else.
func TestChange(t *testing.T) {
	for name, c := range map[string]struct {
		jobs     []hubtest.Job
		change   func(*Run)
		comments int
	}{
		"the same":           {[]hubtest.Job{broke("a", "x"), broke("b", "x")}, nil, 0},
		"in another order":   {[]hubtest.Job{broke("b", "x"), broke("a", "x")}, nil, 0},
		"one less":           {[]hubtest.Job{broke("a", "x")}, nil, 1},
		"one more":           {[]hubtest.Job{broke("a", "x"), broke("b", "x"), broke("c", "x")}, nil, 1},
		"another step":       {[]hubtest.Job{broke("a", "x"), broke("b", "y")}, nil, 1},
		"an alarm":           {[]hubtest.Job{broke("a", "x"), broke("b", "x")}, func(r *Run) { r.Alarms = []string{"!"} }, 1},
		"another result":     {[]hubtest.Job{broke("a", "x"), broke("b", "x")}, func(r *Run) { r.Results["release"] = failure }, 1},
		"jobs not listed":    {nil, nil, 0},
		"nor with an alarm":  {nil, func(r *Run) { r.Alarms = []string{"!"} }, 1},
		"and listed already": {[]hubtest.Job{broke("a", "x"), broke("b", "x"), {Name: "c"}}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.night(red(1), broke("a", "x"), broke("b", "x"))
			second := red(2)
			if c.change != nil {
				c.change(&second)
			}
			s.night(second, c.jobs...)
			s.counts(1, 1, c.comments)
			second.Attempt = 2 // the same again
			s.night(second, c.jobs...)
			s.counts(1, 1, c.comments)
		})
	}
}

// An alarm is a failure also where its job went on to the end.
func TestAlarmAlone(t *testing.T) {
	s := newScene(t)
	run := green(1)
	run.Alarms = []string{"the tag v1.13.3 has moved"}
	issues := s.night(run, others()...)
	s.counts(1, 1, 0)
	if body := issues[0].Body; !strings.Contains(body, "- `the tag v1.13.3 has moved`") || strings.Contains(body, "What failed") {
		t.Error(body)
	}
}

// Two runs at once have opened an issue each: whoever comes next keeps the oldest.
func TestTwo(t *testing.T) {
	for name, run := range map[string]Run{"red": red(3), "green": green(3)} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.night(red(1), broke("a", "x"))
			body := s.server.Issues(repository)[0].Body
			for range 2 {
				s.server.AddIssue(repository, hubtest.Issue{Title: "The nightly run fails", Body: body, Labels: []string{"nightly"}})
			}
			got := s.night(run, broke("a", "x"))
			for _, other := range got[1:] {
				if !other.Closed || other.Reason != "not_planned" || len(other.Comments) != 1 || other.Comments[0] != "One too many: #1 says the same, and is kept." {
					t.Errorf("%+v", other)
				}
			}
			if got[0].Closed != (name == "green") {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// What people opened is theirs, whatever label it has and whatever it quotes.
func TestOthers(t *testing.T) {
	s := newScene(t)
	ours := state{First: s.now, Runs: 1, Run: 1}.marker("nightly")
	foreign := []hubtest.Issue{
		{Title: "Nightly?", Body: "It fails.", Labels: []string{"nightly"}},
		{Title: "Quoting", Body: "Look:\n" + ours + "\n", Labels: []string{"nightly"}},
		{Title: "Another workflow's", Body: state{First: s.now, Runs: 1, Run: 1}.marker("repo-refresh") + "\n", Labels: []string{"nightly"}},
		{Title: "No text", Labels: []string{"nightly"}},
		{Title: "No label", Body: ours + "\n"},
		{Title: "A change", Body: ours + "\n", Labels: []string{"nightly"}, PullRequest: true},
		{Title: "Done", Body: ours + "\n", Labels: []string{"nightly"}, Closed: true},
	}
	for _, one := range foreign {
		s.server.AddIssue(repository, one)
	}
	s.night(green(1))
	s.night(red(2), broke("a", "x"))
	s.night(red(3), broke("b", "x"))
	s.night(green(4))
	got := s.server.Issues(repository)
	s.counts(8, 6, 2)
	for i, one := range foreign {
		if got[i].Body != one.Body || got[i].Closed != one.Closed || len(got[i].Comments) > 0 {
			t.Errorf("%s is changed: %+v", one.Title, got[i])
		}
	}
}

// A marker that somebody has spoilt is still ours; it only forgets.
func TestSpoilt(t *testing.T) {
	for _, body := range []string{"<!-- spire-packages: nightly -->\r\n\r\nold", "<!-- spire-packages: nightly -->", "<!-- spire-packages: nightly {\"runs\":-4,\"run\":7} -->\n", "<!-- spire-packages: nightly {oh} -->\nold"} {
		s := newScene(t)
		created := s.now.AddDate(0, 0, -9)
		s.server.AddIssue(repository, hubtest.Issue{Title: "The nightly run fails", Body: body, Labels: []string{"nightly"}, Created: created})
		got := s.night(red(2), broke("a", "x"))
		s.counts(1, 1, 0)
		if state := stateOf(hub.Issue{Body: got[0].Body}); state.Runs != 1 || state.Run != 2 || !state.First.Equal(created) {
			t.Errorf("%q: %+v", body, state)
		}
	}
}

// hostile texts are what a job, a step or a tag may be called by somebody who
// means no good.
var hostile = []string{
	"x -->\n<!-- spire-packages: nightly {\"runs\":99} -->", "<!-- spire-packages: nightly -->", "@everyone @o/team", "``` \n# Big\n```", "`@a` `b`",
	"[a](https://x) ![i](https://x/i.png)", "<img src=x><script>", "- a\r\n- b\u2028- c\u0085- d", "\x00\u202e\xff", "", " ", "#1 o/r#2", "\\`", "fixes #1",
}

// Whatever is in them, a text stays a piece of code in its own line.
func TestHostile(t *testing.T) {
	s := newScene(t)
	run := red(1)
	run.Results, run.Alarms = map[string]string{"ok": success}, hostile
	var jobs []hubtest.Job
	for _, text := range hostile {
		run.Results[text] = failure
		jobs = append(jobs, broke(text, text))
	}
	s.night(run, jobs...)
	second := red(2)
	second.Alarms, second.Results = hostile[1:], run.Results
	issue := s.night(second)[0] // its jobs are not listed
	third := s.night(red(3), jobs...)[0]
	s.golden("hostile.md", third.Body)
	inert := regexp.MustCompile("^[^`@<#*\\[\\]\\\\]*$")
	span := regexp.MustCompile("`[^`\n]+`")
	link := regexp.MustCompile(`\[(?:log|run \d+, attempt \d+)\]\(` + regexp.QuoteMeta(s.server.URL()) + `/o/r/actions/runs/[0-9a-z/]+\)`)
	for _, text := range append(append([]string{issue.Body, third.Body}, issue.Comments...), third.Comments...) {
		text, found := strings.CutPrefix(text, marker.FindString(text))
		if !found || marker.MatchString(text) {
			t.Errorf("the marker is not ours: %s", text)
		}
		for line := range strings.Lines(text) {
			if rest := link.ReplaceAllString(span.ReplaceAllString(line, ""), ""); !inert.MatchString(strings.TrimSuffix(rest, "\n")) {
				t.Errorf("%q has %q in it", line, rest)
			}
		}
	}
	if got := stateOf(hub.Issue{Body: third.Body}); got.Runs != 3 || len(third.Comments) != 2 {
		t.Errorf("%+v, %d comments", got, len(third.Comments))
	}
}

// However much fails, GitHub takes it; what is cut is counted.
func TestLong(t *testing.T) {
	s := newScene(t)
	run := red(1)
	var jobs []hubtest.Job
	for n := range 1000 {
		text := fmt.Sprint(n, strings.Repeat(" ü", 150))
		jobs, run.Alarms = append(jobs, broke(text, text)), append(run.Alarms, strings.Repeat(text, 7))
	}
	body := s.night(run, jobs...)[0].Body
	got := regexp.MustCompile(`\n- and (\d+) more\n`).FindAllString(body, -1)
	if shown := strings.Count(body, "([log]"); len(got) != 2 || got[0] != fmt.Sprintf("\n- and %d more\n", 1000-shown) || shown < 50 {
		t.Errorf("%q, %d jobs in %d characters", got, shown, len([]rune(body)))
	}
	run.ID++
	run.Alarms = run.Alarms[1:]
	s.night(run, jobs...)
	s.counts(1, 1, 1)
}

// Without the list of jobs, the issue still says which of the workflow's failed.
func TestUnlisted(t *testing.T) {
	for name, effect := range map[string]hubtest.Effect{"403": hubtest.Status(403), "500": hubtest.Status(500), "reset": hubtest.Reset()} {
		s := newScene(t)
		s.server.Fail(hubtest.Fault{Match: "/jobs[?]", Times: -1, Do: effect})
		body := s.night(red(1), broke("build (1.13.3)", "x"))[0].Body
		for _, want := range []string{"The jobs of the run could not be listed: `listing the jobs of the run 1", "\n- `build` failed\n"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: the issue lacks %q:\n%s", name, want, body)
			}
		}
		s.server.Heal()
		if body := s.night(red(2), broke("build (1.13.3)", "x"))[0].Body; !strings.Contains(body, "`build (1.13.3)` failed in the step `x`") || strings.Contains(body, "could not") {
			t.Error(body)
		}
	}
}

// GitHub limps in every way, at every kind of call, and nothing is there or said
// twice for it.
func TestFaults(t *testing.T) {
	for call, match := range map[string]string{"any": "", "list": `^GET .*/issues\?`, "open": "^POST .*/issues$", "look": "^GET .*/comments", "comment": "^POST .*/comments$", "edit": "^PATCH"} {
		for name, effect := range map[string]hubtest.Effect{
			"500": hubtest.Status(500), "502, stored": hubtest.Stored(502), "reset": hubtest.Reset(), "reset, stored": hubtest.StoredReset(),
			"half answer": hubtest.Truncate(), "403": hubtest.RetryAfter(403, 0), "429": hubtest.RetryAfter(429, 0),
		} {
			t.Run(call+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				body := state{First: s.now, Runs: 1, Run: 1}.marker("nightly")
				fail := func() { s.server.Fail(hubtest.Fault{Match: match, Do: effect}) }
				for n, night := range []func(){
					func() { s.night(red(2), broke("a", "x")); s.counts(1, 1, 0) },
					func() { s.night(red(3), broke("b", "x")); s.counts(1, 1, 1) },
					func() {
						s.server.AddIssue(repository, hubtest.Issue{Title: "The nightly run fails", Body: body, Labels: []string{"nightly"}})
						s.night(green(4))
						s.counts(2, 0, 3)
					},
				} {
					s.server.Heal()
					fail()
					night()
					if runs := stateOf(hub.Issue{Body: s.server.Issues(repository)[0].Body}).Runs; runs != min(n+1, 2) {
						t.Errorf("after %d nights %d are counted", n+1, runs)
					}
				}
			})
		}
	}
}

// A change that could not be said is said by the next run.
func TestSaidLater(t *testing.T) {
	s := newScene(t)
	s.night(red(1), broke("a", "x"))
	s.server.Fail(hubtest.Fault{Match: "^POST", Times: -1, Do: hubtest.Status(500)})
	if _, err := s.settle(red(2), broke("b", "x")); err == nil {
		t.Error("no error")
	}
	s.counts(1, 1, 0)
	s.server.Heal()
	s.night(red(3), broke("b", "x"))
	s.night(red(4), broke("b", "x"))
	s.counts(1, 1, 1)
}

// What does not pass is an error that says what to do, and leaves nothing half.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*scene)
		want   []string
	}{
		"may not":       {func(s *scene) { s.token = hubtest.ReadToken }, []string{"settling what became of", "/o/r/actions/runs/1/attempts/1", "answered 403", "issues: write"}},
		"no token":      {func(s *scene) { s.token = "" }, []string{"answered 401", "GITHUB_TOKEN"}},
		"issues off":    {func(s *scene) { s.server.DisableIssues(repository) }, []string{"answered 410", "switch issues on"}},
		"500 for ever":  {func(s *scene) { s.server.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(500)}) }, []string{"answered 500", "run it again later"}},
		"an hour's end": {func(s *scene) { s.server.Limit(0, time.Now().Add(time.Hour)) }, []string{"rate limit is used up", "run it again then"}},
		"no repository": {func(s *scene) {
			s.server.Fail(hubtest.Fault{Times: -1, Do: hubtest.Status(http.StatusNotFound)})
		}, []string{"answered 404", "it is not there"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			c.change(s)
			_, err := s.settle(red(1), broke("a", "x"))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
			s.counts(0, 0, 0)
		})
	}
}
