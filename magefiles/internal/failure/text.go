package failure

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/markdown"
)

// Bounds, in characters: together far below what GitHub takes (hub.IssueLimit).
const (
	nameLimit    = 200 // of a job or step
	alarmLimit   = 1_000
	jobsLimit    = 35_000 // of a list
	alarmsLimit  = 20_000
	waitingLimit = 5_000
)

// body is the text of the issue, as Markdown.
func (i Issue) body(f what, s state, now time.Time) string {
	return fmt.Sprintf("%s\n\n- last failed: %s, %s\n- first failed: %s\n- runs in a row that failed: %d\n\n%s\n\n"+
		"`go run magefile.go failure:report` keeps this issue, at the end of each run: it closes it when a run succeeds, and comments only when something else fails.\n",
		s.marker(i.Run.Workflow), moment(now), i.link(), moment(s.First), s.Runs, i.says(f))
}

// change is the text of the comment that something else fails.
func (i Issue) change(f what) string {
	return fmt.Sprintf("Something else fails, in %s:\n\n%s\n", i.link(), i.says(f))
}

// says are the lists of what failed.
func (i Issue) says(f what) string {
	var parts []string
	if f.unlisted != nil {
		parts = append(parts, "The jobs of the run could not be listed: "+markdown.Span(f.unlisted.Error(), alarmLimit))
	}
	var jobs, alarms, waiting []string
	for _, one := range f.jobs {
		jobs = append(jobs, i.line(one))
	}
	if len(jobs) == 0 { // not listed, or not said to have failed yet
		for _, one := range f.results {
			jobs = append(jobs, i.line(broken{result: one}))
		}
	}
	for _, alarm := range f.alarms {
		alarms = append(alarms, markdown.Span(alarm, alarmLimit))
	}
	for _, one := range i.Run.Waiting {
		waiting = append(waiting, markdown.Span(one, alarmLimit))
	}
	if len(jobs) > 0 {
		parts = append(parts, "What failed:", list(jobs, jobsLimit))
	}
	if len(alarms) > 0 {
		parts = append(parts, "Alarms of the plan:", list(alarms, alarmsLimit))
	}
	if len(waiting) > 0 {
		parts = append(parts, "Beside that, and no failure:", list(waiting, waitingLimit))
	}
	return strings.Join(parts, "\n\n")
}

// line is a job that failed, in a line.
func (i Issue) line(b broken) string {
	text := markdown.Span(b.Name, nameLimit) + " " + ended(b.Conclusion)
	if b.Step != "" {
		text += " in the step " + markdown.Span(b.Step, nameLimit)
	}
	if address.MatchString(b.url) && strings.HasPrefix(b.url, i.Hub.URL()+"/") {
		text += fmt.Sprintf(" ([log](%s))", b.url)
	}
	return text
}

// ended is a conclusion in words.
func ended(conclusion string) string {
	switch conclusion {
	case failure:
		return "failed"
	case cancelled:
		return "was cancelled"
	case "timed_out":
		return "took too long"
	}
	return "ended as " + markdown.Span(conclusion, nameLimit)
}

// list is a list, without the lines that are beyond most characters.
func list(lines []string, most int) string {
	var text strings.Builder
	for n, line := range lines {
		if most -= utf8.RuneCountInString(line) + 3; most < 0 {
			fmt.Fprintf(&text, "- and %d more", len(lines)-n)
			break
		}
		fmt.Fprintf(&text, "- %s\n", line)
	}
	return strings.TrimSpace(text.String())
}

// address is one that nothing in Markdown ends early.
var address = regexp.MustCompile(`^https?://[A-Za-z0-9.:/_-]{1,300}$`)

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// link leads to the run.
func (i Issue) link() string {
	return fmt.Sprintf("[run %d, attempt %d](%s)", i.Run.ID, i.Run.Attempt, i.runURL())
}

func (i Issue) runURL() string {
	return fmt.Sprintf("%s/actions/runs/%d/attempts/%d", i.Hub.URL(), i.Run.ID, i.Run.Attempt)
}
