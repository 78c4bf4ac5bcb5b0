package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/go-github/v60/github"
)

// IssueLimit is how many characters GitHub takes as the text of an issue, or of
// a comment on one.
const IssueLimit = 65_536

// Issue is an issue, as far as it is needed here.
type Issue struct {
	Number  int
	Title   string
	Body    string // Markdown
	URL     string // of its page
	Created time.Time
}

// IssueEdit is what to change of an issue; what is empty stays as it is.
type IssueEdit struct {
	Body   string `json:"body,omitempty"`
	State  string `json:"state,omitempty"`        // open, closed
	Reason string `json:"state_reason,omitempty"` // completed, not_planned
}

func issue(answer github.Issue) Issue {
	return Issue{answer.GetNumber(), answer.GetTitle(), answer.GetBody(), answer.GetHTMLURL(), answer.GetCreatedAt().Time}
}

// Issues are the open issues with a label, oldest first. GitHub lists pull
// requests among them: they are left out.
func (r *Repository) Issues(ctx context.Context, label string) ([]Issue, error) {
	var issues []Issue
	query := url.Values{"labels": {label}, "state": {"open"}, "direction": {"asc"}}
	err := walk(ctx, r, "listing the issues labelled "+label, "issues", query, func(some []github.Issue) {
		for _, one := range some {
			if !one.IsPullRequest() {
				issues = append(issues, issue(one))
			}
		}
	})
	return issues, r.needs("issues: read", err)
}

// CreateIssue opens an issue; a label that is not there yet is made. When the
// answer is lost it is not asked again, since there can be many of one title:
// look at Issues, and decide.
func (r *Repository) CreateIssue(ctx context.Context, title, body string, labels ...string) (Issue, error) {
	var answer github.Issue
	err := r.do(ctx, "opening an issue", http.MethodPost, "issues", map[string]any{"title": title, "body": body, "labels": labels}, &answer)
	return issue(answer), r.needs("issues: write", err)
}

// EditIssue changes an issue.
func (r *Repository) EditIssue(ctx context.Context, number int, edit IssueEdit) error {
	doing := fmt.Sprintf("changing the issue %d", number)
	return r.needs("issues: write", r.do(ctx, doing, http.MethodPatch, fmt.Sprintf("issues/%d", number), edit, nil))
}

// Comments are the texts of all comments on an issue, oldest first.
func (r *Repository) Comments(ctx context.Context, number int) ([]string, error) {
	found, err := list[github.IssueComment](ctx, r, fmt.Sprintf("listing the comments on the issue %d", number), fmt.Sprintf("issues/%d/comments", number))
	var comments []string
	for _, one := range found {
		comments = append(comments, one.GetBody())
	}
	return comments, r.needs("issues: read", err)
}

// Comment comments on an issue. When the answer is lost it is not asked again:
// look at Comments, and decide.
func (r *Repository) Comment(ctx context.Context, number int, body string) error {
	doing := fmt.Sprintf("commenting on the issue %d", number)
	return r.needs("issues: write", r.do(ctx, doing, http.MethodPost, fmt.Sprintf("issues/%d/comments", number), map[string]string{"body": body}, nil))
}

// Job is a job of a workflow's run.
type Job struct {
	Name       string
	Conclusion string // success, failure, cancelled, skipped, ...; empty while it runs
	URL        string // of its log
	Steps      []Step
}

// Step is a step of a job, with a conclusion like the job's.
type Step struct{ Name, Conclusion string }

// Jobs are the jobs of one attempt of a workflow's run; attempts count from 1.
func (r *Repository) Jobs(ctx context.Context, run int64, attempt int) ([]Job, error) {
	var jobs []Job
	doing, path := fmt.Sprintf("listing the jobs of the run %d", run), fmt.Sprintf("actions/runs/%d/attempts/%d/jobs", run, attempt)
	err := walk(ctx, r, doing, path, url.Values{}, func(some github.Jobs) {
		for _, one := range some.Jobs {
			jobs = append(jobs, job(one))
		}
	})
	return jobs, r.needs("actions: read", err)
}

// KeepSchedule has a workflow's schedule go on, by the name of its file: GitHub ends
// those of a public repository after 60 days without a commit, and counts from anew
// when a workflow is switched on that is on already.
func (r *Repository) KeepSchedule(ctx context.Context, file string) error {
	doing := "keeping the schedule of " + file
	return r.needs("actions: write", r.do(ctx, doing, http.MethodPut, "actions/workflows/"+url.PathEscape(file)+"/enable", nil, nil))
}

func job(answer *github.WorkflowJob) Job {
	job := Job{Name: answer.GetName(), Conclusion: answer.GetConclusion(), URL: answer.GetHTMLURL()}
	for _, step := range answer.Steps {
		job.Steps = append(job.Steps, Step{step.GetName(), step.GetConclusion()})
	}
	return job
}

// walk reads all pages of a list that is asked for with a query, or that comes
// inside of something else.
func walk[T any](ctx context.Context, r *Repository, doing, path string, query url.Values, add func(T)) error {
	query.Set("per_page", "100")
	for page := 1; page != 0; {
		query.Set("page", strconv.Itoa(page))
		var some T
		next, err := r.page(ctx, doing, http.MethodGet, path+"?"+query.Encode(), nil, &some)
		if err != nil {
			return err
		}
		if next != 0 && (next <= page || next > pages) {
			return fmt.Errorf("%s of %s: page %d is said to follow page %d: there is no end", doing, r.Name(), next, page)
		}
		add(some)
		page = next
	}
	return nil
}

// needs says of a refusal what these calls need, which is not what releases do.
func (r *Repository) needs(permission string, err error) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	switch known.Status {
	case http.StatusForbidden:
		known.Remedy = fmt.Sprintf("the token may not do this; it needs the permission %s on %s", permission, r.Name())
	case http.StatusGone:
		known.Remedy = "switch issues on in the settings of the repository, where they are off"
	}
	return err
}
