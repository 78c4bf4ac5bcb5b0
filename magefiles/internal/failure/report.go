// Package failure keeps the one issue that says why a workflow's runs fail: it
// is opened by the first run that fails, brought up to date by each further one,
// and closed by the first that does not.
package failure

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// Issue is a run, and where its issue is kept.
type Issue struct {
	Hub *hub.Repository
	Run Run
	Log io.Writer // gets a line for every second look
}

// Report is what was done.
type Report struct {
	Did string
	URL string // of the issue's page; empty if there is none
	// Waiting are versions that wait for a person.
	Waiting []string
}

// Print writes the lines that a run ends with.
func (r Report) Print(w io.Writer) {
	for _, one := range r.Waiting {
		fmt.Fprintln(w, one)
	}
	if r.URL == "" {
		fmt.Fprintln(w, r.Did)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", r.Did, r.URL)
}

// Settle makes the issue say what the run came to. It may be called again
// for the same run, which then counts once. The token needs issues: write and
// actions: read. An error means that the issue may not be as it shall be.
func (i Issue) Settle(ctx context.Context) (Report, error) {
	return i.settle(ctx, time.Now().UTC().Truncate(time.Second), 5*time.Second)
}

// settle does everything, and does it again when an answer was lost: each round
// begins by looking at what is there, so that nothing is opened or said twice.
func (i Issue) settle(ctx context.Context, now time.Time, pause time.Duration) (report Report, err error) {
	err = hub.Persist(ctx, i.Log, pause, func(ctx context.Context) (err error) {
		report, err = i.round(ctx, now)
		return err
	})
	if err != nil {
		return Report{}, fmt.Errorf("settling what became of %s: %w", i.runURL(), err)
	}
	report.Waiting = i.Run.Waiting
	return report, nil
}

func (i Issue) round(ctx context.Context, now time.Time) (Report, error) {
	open, err := i.find(ctx)
	if err != nil {
		return Report{}, err
	}
	failed := i.Run.failed()
	switch {
	case failed && open == nil:
		return i.begin(ctx, now)
	case failed:
		return i.goOn(ctx, *open, now)
	case open != nil:
		return i.end(ctx, *open)
	}
	return Report{Did: "nothing failed, and no issue is open"}, nil
}

// find gives our open issue, or nil. Two runs at once may have opened one each:
// the oldest is kept, whoever looks.
func (i Issue) find(ctx context.Context) (*hub.Issue, error) {
	all, err := i.Hub.Issues(ctx, i.Run.Workflow)
	if err != nil {
		return nil, err
	}
	var kept *hub.Issue
	for _, one := range all {
		switch {
		case !isOf(i.Run.Workflow, one): // somebody's own, with the same label
		case kept == nil:
			kept = &one
		default:
			text := fmt.Sprintf("One too many: #%d says the same, and is kept.", kept.Number)
			if err := i.close(ctx, one, text, "not_planned"); err != nil {
				return nil, err
			}
		}
	}
	return kept, nil
}

// begin opens the issue.
func (i Issue) begin(ctx context.Context, now time.Time) (Report, error) {
	f := i.failure(ctx)
	title := fmt.Sprintf("The %s run fails", i.Run.Workflow)
	made, err := i.Hub.CreateIssue(ctx, title, i.body(f, state{First: now}.after(i.Run, f), now), i.Run.Workflow)
	return Report{Did: "opened the issue", URL: made.URL}, err
}

// goOn writes the issue anew. It comments, which people get by mail, only when
// something else fails; and it does so first, so that a run that is cut off here
// is finished by the next.
func (i Issue) goOn(ctx context.Context, open hub.Issue, now time.Time) (Report, error) {
	f, old := i.failure(ctx), stateOf(open)
	current := old.after(i.Run, f)
	report := Report{Did: "brought the issue up to date", URL: open.URL}
	if old.Run != 0 && (current.Results != old.Results || current.Jobs != old.Jobs) {
		report.Did += ", with a comment, since something else fails now"
		if err := i.say(ctx, open, i.change(f)); err != nil {
			return Report{}, err
		}
	}
	return report, i.Hub.EditIssue(ctx, open.Number, hub.IssueEdit{Body: i.body(f, current, now)})
}

// end closes the issue.
func (i Issue) end(ctx context.Context, open hub.Issue) (Report, error) {
	err := i.close(ctx, open, "Recovered in "+i.link()+".", "completed")
	return Report{Did: "nothing failed: closed the issue", URL: open.URL}, err
}

// close says why, and closes. In this order, so that one that is closed says so.
func (i Issue) close(ctx context.Context, one hub.Issue, why, reason string) error {
	if err := i.say(ctx, one, why); err != nil {
		return err
	}
	return i.Hub.EditIssue(ctx, one.Number, hub.IssueEdit{State: "closed", Reason: reason})
}

// say comments, unless just that was said already: the answer may have been lost.
func (i Issue) say(ctx context.Context, on hub.Issue, text string) error {
	said, err := i.Hub.Comments(ctx, on.Number)
	if err != nil {
		return err
	}
	for _, one := range said {
		if unix(one) == unix(text) {
			return nil
		}
	}
	return i.Hub.Comment(ctx, on.Number, text)
}
