package hubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// pullJSON is an issue that is a pull request, as such.
func (c call) pullJSON(issue *Issue) map[string]any {
	value := c.issueJSON(issue)
	owner, _, _ := strings.Cut(c.repo.name, "/")
	value["head"] = map[string]any{"ref": issue.Head, "label": owner + ":" + issue.Head, "sha": c.repo.branches[issue.Head]}
	value["base"] = map[string]any{"ref": issue.Base}
	value["url"] = fmt.Sprintf("%s/repos/%s/pulls/%d", c.API(), c.repo.name, issue.Number)
	value["merged_at"] = nil
	if issue.Merged {
		value["merged_at"] = moment(issue.Created)
	}
	return value
}

// listPulls has the newest first, unless it is asked otherwise.
func (c call) listPulls() {
	query := c.r.URL.Query()
	state := query.Get("state")
	if state == "" {
		state = "open"
	}
	owner, _, _ := strings.Cut(c.repo.name, "/")
	c.mu.Lock()
	all := []any{}
	for _, issue := range c.repo.issues {
		from := query.Get("head")
		if issue.PullRequest && issue.listed(state, "") && (from == "" || from == owner+":"+issue.Head) {
			all = append(all, c.pullJSON(issue))
		}
	}
	c.mu.Unlock()
	if query.Get("direction") != "asc" {
		slices.Reverse(all)
	}
	c.answer(http.StatusOK, page(c, all))
}

func (c call) createPull() {
	var want struct{ Title, Body, Head, Base string }
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wrong := func(field string) { invalid(c.w, detail{Resource: "PullRequest", Code: "invalid", Field: field}) }
	custom := func(message string) { invalid(c.w, detail{Resource: "PullRequest", Code: "custom", Message: message}) }
	from, to := c.repo.branches[want.Head], c.repo.branches[want.Base]
	issue := &Issue{PullRequest: true, Head: want.Head, Base: want.Base}
	switch {
	case c.repo.noPulls:
		problem(c.w, http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
	case want.Title == "":
		invalid(c.w, detail{Resource: "PullRequest", Code: "missing_field", Field: "title"})
	case from == "":
		wrong("head")
	case to == "":
		wrong("base")
	case slices.ContainsFunc(c.repo.issues, func(i *Issue) bool { return i.PullRequest && !i.Closed && i.Head == want.Head && i.Base == want.Base }):
		owner, _, _ := strings.Cut(c.repo.name, "/")
		custom("A pull request already exists for " + owner + ":" + want.Head + ".")
	case from == to:
		custom("No commits between " + want.Base + " and " + want.Head)
	case c.changeIssue(issue, wantedIssue{Title: &want.Title, Body: &want.Body}):
		c.repo.addIssue(issue, c.now())
		c.later(http.StatusCreated, c.pullJSON(issue))
	}
}

func (c call) editPull() {
	var want wantedIssue
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	issue := c.issue()
	switch {
	case issue == nil:
	case !issue.PullRequest:
		notFound(c.w)
	case c.changeIssue(issue, want):
		c.later(http.StatusOK, c.pullJSON(issue))
	}
}
