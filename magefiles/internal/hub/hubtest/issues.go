package hubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Issue is an issue or a pull request, which share their numbers.
type Issue struct {
	Number      int
	Title, Body string
	Labels      []string
	PullRequest bool
	Head, Base  string // the branches of a pull request
	Merged      bool
	Closed      bool
	Reason      string // why it was closed: completed, not_planned
	Created     time.Time
	Comments    []string
}

// What GitHub takes as the text of an issue and of a comment, and as a title, in
// characters.
const (
	bodyLimit  = 65_536
	titleLimit = 256
)

// AddIssue puts an issue there, with the next number.
func (s *Server) AddIssue(name string, issue Issue) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repo(name).addIssue(&issue, s.now())
}

func (r *repository) addIssue(issue *Issue, now time.Time) int {
	issue.Number = len(r.issues) + 1
	if issue.Created.IsZero() {
		issue.Created = now
	}
	r.issues = append(r.issues, issue)
	return issue.Number
}

// Issues are all issues and pull requests, oldest first.
func (s *Server) Issues(name string) []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Issue
	for _, issue := range s.repo(name).issues {
		one := *issue
		one.Labels, one.Comments = slices.Clone(issue.Labels), slices.Clone(issue.Comments)
		all = append(all, one)
	}
	return all
}

// DisableIssues switches issues off; pull requests stay.
func (s *Server) DisableIssues(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).noIssues = true
}

func gone(w http.ResponseWriter) {
	problem(w, http.StatusGone, "Issues has been disabled in this repository.")
}

func (c call) issueJSON(issue *Issue) map[string]any {
	labels, state, page := []any{}, "open", "issues"
	for _, label := range issue.Labels {
		labels = append(labels, map[string]any{"name": label})
	}
	if issue.Closed {
		state = "closed"
	}
	if issue.PullRequest {
		page = "pull"
	}
	value := map[string]any{
		"number": issue.Number, "title": issue.Title, "body": text(issue.Body), "labels": labels, "state": state, "state_reason": text(issue.Reason),
		"comments": len(issue.Comments), "created_at": moment(issue.Created),
		"url":      fmt.Sprintf("%s/repos/%s/issues/%d", c.API(), c.repo.name, issue.Number),
		"html_url": fmt.Sprintf("%s/%s/%s/%d", c.URL(), c.repo.name, page, issue.Number),
	}
	if issue.PullRequest {
		value["pull_request"] = map[string]any{"url": fmt.Sprintf("%s/repos/%s/pulls/%d", c.API(), c.repo.name, issue.Number)}
	}
	return value
}

// text is null where there is none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// listIssues has the newest first, unless it is asked otherwise, and pull
// requests among them. Where issues are switched off these are all.
func (c call) listIssues() {
	query := c.r.URL.Query()
	c.mu.Lock()
	all := []any{}
	for _, issue := range c.repo.issues {
		if issue.listed(query.Get("state"), query.Get("labels")) && (issue.PullRequest || !c.repo.noIssues) {
			all = append(all, c.issueJSON(issue))
		}
	}
	c.mu.Unlock()
	if query.Get("direction") != "asc" {
		slices.Reverse(all)
	}
	c.answer(http.StatusOK, page(c, all))
}

// listed says whether the issue is in a state, and has all labels of a list.
func (i *Issue) listed(state, labels string) bool {
	if state != "all" && i.Closed != (state == "closed") {
		return false
	}
	for label := range strings.SplitSeq(labels, ",") {
		has := func(own string) bool { return strings.EqualFold(own, label) }
		if label != "" && !slices.ContainsFunc(i.Labels, has) {
			return false
		}
	}
	return true
}

// issue is the one that the path names; it answers where there is none. The lock
// is held.
func (c call) issue() *Issue {
	number, err := strconv.Atoi(c.r.PathValue("number"))
	if err != nil || number < 1 || number > len(c.repo.issues) {
		notFound(c.w)
		return nil
	}
	issue := c.repo.issues[number-1]
	if c.repo.noIssues && !issue.PullRequest {
		gone(c.w)
		return nil
	}
	return issue
}

// wantedIssue is what a client sends to make or change an issue.
type wantedIssue struct {
	Title  *string  `json:"title"`
	Body   *string  `json:"body"`
	Labels []string `json:"labels"`
	State  *string  `json:"state"`
	Reason *string  `json:"state_reason"`
}

func (c call) createIssue() {
	var want wantedIssue
	if !c.decode(&want) {
		return
	}
	issue := &Issue{Labels: want.Labels}
	c.mu.Lock()
	switch {
	case c.repo.noIssues:
		gone(c.w)
	case want.Title == nil || strings.TrimSpace(*want.Title) == "":
		invalid(c.w, detail{Resource: "Issue", Code: "missing_field", Field: "title"})
	case c.changeIssue(issue, wantedIssue{Title: want.Title, Body: want.Body}):
		c.repo.addIssue(issue, c.now())
		value := c.issueJSON(issue)
		defer c.answer(http.StatusCreated, value) // when the lock is free, which answer takes
	}
	c.mu.Unlock()
}

func (c call) editIssue() {
	var want wantedIssue
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	if issue := c.issue(); issue != nil && c.changeIssue(issue, want) {
		value := c.issueJSON(issue)
		defer c.answer(http.StatusOK, value)
	}
	c.mu.Unlock()
}

// changeIssue takes over what is wanted; it answers where that cannot be.
func (c call) changeIssue(issue *Issue, want wantedIssue) bool {
	switch {
	case want.Title != nil && len([]rune(*want.Title)) > titleLimit:
		invalid(c.w, detail{Resource: "Issue", Code: "custom", Field: "title", Message: "title is too long (maximum is 256 characters)"})
		return false
	case want.Body != nil && len([]rune(*want.Body)) > bodyLimit:
		invalid(c.w, detail{Resource: "Issue", Code: "custom", Field: "body", Message: "body is too long (maximum is 65536 characters)"})
		return false
	case want.State != nil && *want.State != "open" && *want.State != "closed":
		invalid(c.w, detail{Resource: "Issue", Code: "invalid", Field: "state"})
		return false
	}
	for field, value := range map[*string]*string{&issue.Title: want.Title, &issue.Body: want.Body, &issue.Reason: want.Reason} {
		if value != nil {
			*field = *value
		}
	}
	if want.State != nil {
		issue.Closed = *want.State == "closed"
	}
	return true
}

func (c call) commentJSON(id int, body string) map[string]any {
	return map[string]any{"id": id, "body": body, "created_at": moment(c.now())}
}

func (c call) listComments() {
	c.mu.Lock()
	issue, all := c.issue(), []any{}
	if issue != nil {
		for i, body := range issue.Comments {
			all = append(all, c.commentJSON(i+1, body))
		}
		defer func() { c.answer(http.StatusOK, page(c, all)) }()
	}
	c.mu.Unlock()
}

func (c call) createComment() {
	var want wantedIssue
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	issue := c.issue()
	switch {
	case issue == nil:
	case want.Body == nil || strings.TrimSpace(*want.Body) == "":
		invalid(c.w, detail{Resource: "IssueComment", Code: "unprocessable", Field: "data", Message: "Body cannot be blank"})
	case len([]rune(*want.Body)) > bodyLimit:
		invalid(c.w, detail{Resource: "IssueComment", Code: "unprocessable", Field: "data", Message: "Body is too long (maximum is 65536 characters)"})
	default:
		issue.Comments = append(issue.Comments, *want.Body)
		value := c.commentJSON(len(issue.Comments), *want.Body)
		defer c.answer(http.StatusCreated, value)
	}
	c.mu.Unlock()
}
