package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/go-github/v60/github"
)

// writeContents is what a token needs that changes branches.
const writeContents = "contents: write"

// Commit is a commit, as far as it is needed here.
type Commit struct {
	SHA, Message, Tree string
	Parents            []string
}

func commitOf(answer github.Commit) Commit {
	c := Commit{SHA: answer.GetSHA(), Message: answer.GetMessage(), Tree: answer.GetTree().GetSHA()}
	for _, parent := range answer.Parents {
		c.Parents = append(c.Parents, parent.GetSHA())
	}
	return c
}

// DefaultBranch is the name of the branch that pull requests are for.
func (r *Repository) DefaultBranch(ctx context.Context) (string, error) {
	var answer github.Repository
	err := r.do(ctx, "reading the default branch", http.MethodGet, "", nil, &answer)
	return answer.GetDefaultBranch(), err
}

// Branch is the commit that a branch points to; empty where there is none of the name.
func (r *Repository) Branch(ctx context.Context, name string) (string, error) {
	var answer github.Reference
	err := r.do(ctx, "reading the branch "+name, http.MethodGet, "git/ref/heads/"+name, nil, &answer)
	if NotFound(err) {
		return "", nil
	}
	return answer.GetObject().GetSHA(), err
}

// Commit reads a commit.
func (r *Repository) Commit(ctx context.Context, sha string) (Commit, error) {
	var answer github.Commit
	err := r.do(ctx, "reading the commit "+sha, http.MethodGet, "git/commits/"+sha, nil, &answer)
	return commitOf(answer), err
}

// Blob names the content of a file at a commit, as git does.
func (r *Repository) Blob(ctx context.Context, path, commit string) (string, error) {
	var answer github.RepositoryContent
	err := r.do(ctx, "reading "+path, http.MethodGet, "contents/"+path+"?"+url.Values{"ref": {commit}}.Encode(), nil, &answer)
	return answer.GetSHA(), err
}

// MakeCommit makes a commit that has a file otherwise than its parent; no branch
// points to it yet.
func (r *Repository) MakeCommit(ctx context.Context, parent Commit, message, path string, content []byte) (Commit, error) {
	var tree github.Tree
	entry := github.TreeEntry{Path: github.String(path), Mode: github.String("100644"), Type: github.String("blob"), Content: github.String(string(content))}
	body := map[string]any{"base_tree": parent.Tree, "tree": []github.TreeEntry{entry}}
	if err := r.do(ctx, "writing "+path, http.MethodPost, "git/trees", body, &tree); err != nil {
		return Commit{}, r.needs(writeContents, err)
	}
	var answer github.Commit
	body = map[string]any{"message": message, "tree": tree.GetSHA(), "parents": []string{parent.SHA}}
	err := r.do(ctx, "committing "+path, http.MethodPost, "git/commits", body, &answer)
	return commitOf(answer), r.needs(writeContents, err)
}

// SetBranch makes a branch, or moves the one that pointed to before, whatever it has:
// look at Branch and Commit, and decide.
func (r *Repository) SetBranch(ctx context.Context, name, before, commit string) error {
	if before == "" {
		body := map[string]string{"ref": "refs/heads/" + name, "sha": commit}
		return r.needs(writeContents, r.do(ctx, "making the branch "+name, http.MethodPost, "git/refs", body, nil))
	}
	body := map[string]any{"sha": commit, "force": true}
	return r.needs(writeContents, r.do(ctx, "moving the branch "+name, http.MethodPatch, "git/refs/heads/"+name, body, nil))
}

// Pull is a pull request, as far as it is needed here.
type Pull struct {
	Number           int
	Title, Body, URL string
	Open, Merged     bool
}

func pull(answer github.PullRequest) Pull {
	return Pull{
		Number: answer.GetNumber(), Title: answer.GetTitle(), Body: answer.GetBody(), URL: answer.GetHTMLURL(),
		Open: answer.GetState() == "open", Merged: !answer.GetMergedAt().IsZero(),
	}
}

// Pulls are the pull requests from a branch of this repository, newest first, closed
// ones too.
func (r *Repository) Pulls(ctx context.Context, branch string) ([]Pull, error) {
	var pulls []Pull
	query := url.Values{"head": {r.owner + ":" + branch}, "state": {"all"}, "sort": {"created"}, "direction": {"desc"}}
	err := walk(ctx, r, "listing the pull requests from "+branch, "pulls", query, func(some []github.PullRequest) {
		for _, one := range some {
			pulls = append(pulls, pull(one))
		}
	})
	return pulls, r.needs("pull-requests: read", err)
}

// CreatePull opens a pull request from a branch of this repository for another one.
func (r *Repository) CreatePull(ctx context.Context, title, body, from, to string) (Pull, error) {
	var answer github.PullRequest
	want := map[string]string{"title": title, "body": body, "head": from, "base": to}
	err := r.do(ctx, "opening a pull request", http.MethodPost, "pulls", want, &answer)
	return pull(answer), r.needsPulls(err)
}

// EditPull changes a pull request.
func (r *Repository) EditPull(ctx context.Context, number int, title, body string) (Pull, error) {
	var answer github.PullRequest
	err := r.do(ctx, "changing a pull request", http.MethodPatch, fmt.Sprintf("pulls/%d", number), map[string]string{"title": title, "body": body}, &answer)
	return pull(answer), r.needsPulls(err)
}

// needsPulls says of a refusal what pull requests need: of a workflow not its
// permission alone.
func (r *Repository) needsPulls(err error) error {
	var known *Error
	if errors.As(r.needs("pull-requests: write", err), &known) && known.Status == http.StatusForbidden {
		known.Remedy += ", and, for a workflow's token, \"Allow GitHub Actions to create and approve pull requests\" in the repository's settings"
	}
	return err
}
