package hubtest

import (
	"crypto/sha1" //nolint:gosec // the name that git gives
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Commit is a commit with all files at it, by path.
type Commit struct {
	SHA, Message string
	Parents      []string
	Files        map[string]string
}

// AddCommit puts a commit there, gives its name, and has a branch point to it.
func (s *Server) AddCommit(name, branch string, commit Commit) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repo(name)
	repo.trees[treeName(commit.Files)] = commit.Files
	commit.SHA = digest("commit", commit.Message+strings.Join(commit.Parents, " ")+treeName(commit.Files))
	repo.commits[commit.SHA], repo.branches[branch] = commit, commit.SHA
	return commit.SHA
}

// Branch is the commit that a branch points to; an empty one where there is none.
func (s *Server) Branch(name, branch string) Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repo(name)
	return repo.commits[repo.branches[branch]]
}

// ForbidPulls has GitHub's switch off by which workflows may open pull requests.
func (s *Server) ForbidPulls(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).noPulls = true
}

// digest is the name of an object of git's.
func digest(kind, content string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(content), content)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}

// treeName is a name for a set of files, though not git's.
func treeName(files map[string]string) string {
	content, err := json.Marshal(files)
	if err != nil {
		panic(err) // strings always can be
	}
	return digest("tree", string(content))
}

var shaForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

func (c call) branchRef() {
	branch := c.r.PathValue("branch")
	c.mu.Lock()
	sha, ok := c.repo.branches[branch]
	c.mu.Unlock()
	if !ok {
		notFound(c.w)
		return
	}
	c.answer(http.StatusOK, refJSON(branch, sha))
}

func refJSON(branch, sha string) map[string]any {
	return map[string]any{"ref": "refs/heads/" + branch, "object": map[string]string{"type": "commit", "sha": sha}}
}

func commitJSON(commit Commit) map[string]any {
	parents := []any{}
	for _, parent := range commit.Parents {
		parents = append(parents, map[string]string{"sha": parent})
	}
	return map[string]any{"sha": commit.SHA, "message": commit.Message, "tree": map[string]string{"sha": treeName(commit.Files)}, "parents": parents}
}

func (c call) getCommit() {
	sha := c.r.PathValue("sha")
	if !shaForm.MatchString(sha) {
		problem(c.w, http.StatusUnprocessableEntity, "The SHA parameter must be exactly 40 characters and contain only [0-9a-f].")
		return
	}
	c.mu.Lock()
	commit, ok := c.repo.commits[sha]
	c.mu.Unlock()
	if !ok {
		notFound(c.w)
		return
	}
	c.answer(http.StatusOK, commitJSON(commit))
}

func (c call) getContents() {
	ref, path := c.r.URL.Query().Get("ref"), c.r.PathValue("path")
	c.mu.Lock()
	commit, ok := c.repo.commits[ref]
	if !ok {
		commit, ok = c.repo.commits[c.repo.branches[ref]]
	}
	c.mu.Unlock()
	content, there := commit.Files[path]
	switch {
	case !ok:
		problem(c.w, http.StatusNotFound, "No commit found for the ref "+ref)
	case !there:
		notFound(c.w)
	default:
		c.answer(http.StatusOK, map[string]any{
			"type": "file", "path": path, "sha": digest("blob", content), "size": len(content),
			"encoding": "base64", "content": base64.StdEncoding.EncodeToString([]byte(content)),
		})
	}
}

// createTree makes a tree like another one, with files changed.
func (c call) createTree() {
	var want struct {
		Base string `json:"base_tree"`
		Tree []struct{ Path, Mode, Type, Content string }
	}
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	base, ok := c.repo.trees[want.Base]
	if want.Base != "" && !ok {
		notFound(c.w)
		return
	}
	files := maps.Clone(base)
	if files == nil {
		files = map[string]string{}
	}
	for _, entry := range want.Tree {
		if entry.Path == "" || strings.HasPrefix(entry.Path, "/") || entry.Mode != "100644" || entry.Type != "blob" {
			problem(c.w, http.StatusUnprocessableEntity, "Must supply a valid tree.mode")
			return
		}
		files[entry.Path] = entry.Content
	}
	sha := treeName(files)
	c.repo.trees[sha] = files
	c.later(http.StatusCreated, map[string]string{"sha": sha})
}

func (c call) createCommit() {
	var want struct {
		Message, Tree string
		Parents       []string
	}
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	files, ok := c.repo.trees[want.Tree]
	known := func(sha string) bool { _, ok := c.repo.commits[sha]; return ok }
	switch {
	case want.Message == "":
		invalid(c.w, detail{Resource: "Commit", Code: "missing_field", Field: "message"})
	case !ok:
		problem(c.w, http.StatusUnprocessableEntity, "Tree SHA does not exist")
	case slices.ContainsFunc(want.Parents, func(sha string) bool { return !known(sha) }):
		problem(c.w, http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
	default:
		// Its name has the time in it, which is another one for each.
		sha := digest("commit", fmt.Sprint(want, len(c.repo.commits)))
		c.repo.commits[sha] = Commit{sha, want.Message, want.Parents, files}
		c.later(http.StatusCreated, commitJSON(c.repo.commits[sha]))
	}
}

func (c call) createRef() {
	var want struct{ Ref, SHA string }
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	branch, ok := strings.CutPrefix(want.Ref, "refs/heads/")
	_, commit := c.repo.commits[want.SHA]
	_, there := c.repo.branches[branch]
	switch {
	case !ok || branch == "":
		problem(c.w, http.StatusUnprocessableEntity, "Reference name must start with 'refs/'.")
	case there:
		problem(c.w, http.StatusUnprocessableEntity, "Reference already exists")
	case !commit:
		problem(c.w, http.StatusUnprocessableEntity, "Object does not exist")
	default:
		c.repo.branches[branch] = want.SHA
		c.later(http.StatusCreated, refJSON(branch, want.SHA))
	}
}

func (c call) editRef() {
	var want struct {
		SHA   string
		Force bool
	}
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	branch := c.r.PathValue("branch")
	before, there := c.repo.branches[branch]
	commit, ok := c.repo.commits[want.SHA]
	switch {
	case !there:
		problem(c.w, http.StatusUnprocessableEntity, "Reference does not exist")
	case !ok:
		problem(c.w, http.StatusUnprocessableEntity, "Object does not exist")
	case !want.Force && !slices.Contains(commit.Parents, before):
		problem(c.w, http.StatusUnprocessableEntity, "Update is not a fast forward")
	default:
		c.repo.branches[branch] = want.SHA
		c.later(http.StatusOK, refJSON(branch, want.SHA))
	}
}
