package failure

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// state is what an issue remembers of the runs before, in its marker.
type state struct {
	First time.Time `json:"first"` // when the first of them failed
	Runs  int       `json:"runs"`  // how many have failed in a row
	Run   int64     `json:"run"`   // the newest that was counted
	// Results and Jobs are digests of what failed last.
	Results string `json:"results"`
	Jobs    string `json:"jobs"`
}

// marker begins the text of our issues, and of no others, with the workflow's
// name. What is in it, hidden from readers, is ours alone: all else in the text
// comes after it.
var marker = regexp.MustCompile(`^<!-- spire-packages: ([a-z0-9-]+) (?:(\{[^<>]*\}) )?-->(?:\r?\n|$)`)

func (s state) marker(workflow string) string {
	content, err := json.Marshal(s)
	if err != nil {
		panic(err) // a year above 9999
	}
	return fmt.Sprintf("<!-- spire-packages: %s %s -->", workflow, content)
}

// isOf says whether the issue is the one of that workflow.
func isOf(workflow string, issue hub.Issue) bool {
	found := marker.FindStringSubmatch(issue.Body)
	return found != nil && found[1] == workflow
}

// stateOf reads an issue's marker. Of one that a person has spoilt it knows only
// since when the issue is there.
func stateOf(issue hub.Issue) state {
	var s state
	content := marker.FindStringSubmatch(issue.Body)[2]
	if err := json.Unmarshal([]byte(content), &s); err != nil || s.First.IsZero() || s.Runs < 1 {
		return state{First: issue.Created}
	}
	return s
}

// after is the state when one more run has failed, or the same once more. Where
// the jobs are not known, they are taken to fail as before.
func (s state) after(run Run, f what) state {
	if run.ID > s.Run {
		s.Runs, s.Run = s.Runs+1, run.ID
	}
	s.Results = digest(f.results, slices.Sorted(slices.Values(f.alarms)))
	if f.unlisted == nil {
		s.Jobs = digest(f.jobs)
	}
	return s
}

// unix is text as it was before it went through a browser's form.
func unix(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
}
