package hubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// manual is what GitHub's errors refer to.
const manual = "https://docs.github.com/rest"

// detail is what is wrong with a field.
type detail struct {
	Resource string `json:"resource"`
	Code     string `json:"code"`
	Field    string `json:"field,omitempty"`
	Message  string `json:"message,omitempty"`
}

// problem answers with an error, in GitHub's form.
func problem(w http.ResponseWriter, code int, message string, details ...detail) {
	body := map[string]any{"message": message, "documentation_url": manual, "status": strconv.Itoa(code)}
	if len(details) > 0 {
		body["errors"] = details
	}
	content, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(code)
	_, _ = w.Write(content)
}

func notFound(w http.ResponseWriter) { problem(w, http.StatusNotFound, "Not Found") }

func invalid(w http.ResponseWriter, details ...detail) {
	problem(w, http.StatusUnprocessableEntity, "Validation Failed", details...)
}

// call is one request on its way to an answer.
type call struct {
	*Server
	w    http.ResponseWriter
	r    *http.Request
	repo *repository
	may  bool // write, and see drafts
}

// routes are all that the API answers.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range answered {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if c, ok := s.admit(w, r); ok {
				handle(c)
			}
		})
	}
	mux.HandleFunc("GET /{owner}/{repo}/releases/download/{tag}/{name}", s.download)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// answered are the parts of the API that are known, by http.ServeMux's patterns.
var answered = map[string]func(call){
	"GET /api/v3/repos/{owner}/{repo}":                            call.repository,
	"GET /api/v3/repos/{owner}/{repo}/tags":                       call.listTags,
	"GET /api/v3/repos/{owner}/{repo}/git/ref/tags/{tag...}":      call.ref,
	"GET /api/v3/repos/{owner}/{repo}/releases":                   call.listReleases,
	"POST /api/v3/repos/{owner}/{repo}/releases":                  call.createRelease,
	"GET /api/v3/repos/{owner}/{repo}/releases/{a}":               call.getRelease,
	"PATCH /api/v3/repos/{owner}/{repo}/releases/{a}":             call.editRelease,
	"DELETE /api/v3/repos/{owner}/{repo}/releases/{a}":            call.deleteRelease,
	"GET /api/v3/repos/{owner}/{repo}/releases/{a}/{b...}":        call.below,
	"DELETE /api/v3/repos/{owner}/{repo}/releases/assets/{asset}": call.deleteAsset,
	"POST /api/uploads/repos/{owner}/{repo}/releases/{a}/assets":  call.upload,
	"GET /api/v3/repos/{owner}/{repo}/issues":                     call.listIssues,
	"POST /api/v3/repos/{owner}/{repo}/issues":                    call.createIssue,
	"PATCH /api/v3/repos/{owner}/{repo}/issues/{number}":          call.editIssue,
	"GET /api/v3/repos/{owner}/{repo}/issues/{number}/comments":   call.listComments,
	"POST /api/v3/repos/{owner}/{repo}/issues/{number}/comments":  call.createComment,

	"GET /api/v3/repos/{owner}/{repo}/git/ref/heads/{branch...}":    call.branchRef,
	"POST /api/v3/repos/{owner}/{repo}/git/refs":                    call.createRef,
	"PATCH /api/v3/repos/{owner}/{repo}/git/refs/heads/{branch...}": call.editRef,
	"GET /api/v3/repos/{owner}/{repo}/git/commits/{sha}":            call.getCommit,
	"POST /api/v3/repos/{owner}/{repo}/git/commits":                 call.createCommit,
	"POST /api/v3/repos/{owner}/{repo}/git/trees":                   call.createTree,
	"GET /api/v3/repos/{owner}/{repo}/contents/{path...}":           call.getContents,
	"GET /api/v3/repos/{owner}/{repo}/pulls":                        call.listPulls,
	"POST /api/v3/repos/{owner}/{repo}/pulls":                       call.createPull,
	"PATCH /api/v3/repos/{owner}/{repo}/pulls/{number}":             call.editPull,

	"PUT /api/v3/repos/{owner}/{repo}/actions/workflows/{file}/enable": func(c call) { c.w.WriteHeader(http.StatusNoContent) },

	"GET /api/v3/repos/{owner}/{repo}/actions/runs/{run}/attempts/{attempt}/jobs": call.listJobs,
}

// admit looks at the token, the rate limit and the repository.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (call, bool) {
	token := bearer(r)
	if token != "" && token != Token && token != ReadToken {
		problem(w, http.StatusUnauthorized, "Bad credentials")
		return call{}, false
	}
	if !s.rate(w) {
		problem(w, http.StatusForbidden, "API rate limit exceeded for installation ID 1.")
		return call{}, false
	}
	if r.Method != http.MethodGet && token != Token {
		if token == "" {
			problem(w, http.StatusUnauthorized, "Requires authentication")
		} else {
			problem(w, http.StatusForbidden, "Resource not accessible by integration")
		}
		return call{}, false
	}
	s.mu.Lock()
	repo := s.repos[r.PathValue("owner")+"/"+r.PathValue("repo")]
	s.mu.Unlock()
	if repo == nil {
		notFound(w)
		return call{}, false
	}
	return call{s, w, r, repo, token == Token}, true
}

// rate counts the call, and says in the headers what is left.
func (s *Server) rate(w http.ResponseWriter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit < 0 || !s.now().Before(s.reset) {
		return true
	}
	within := s.limit > 0
	if within {
		s.limit--
	}
	header := w.Header()
	header.Set("X-RateLimit-Limit", "1000")
	header.Set("X-RateLimit-Remaining", strconv.Itoa(s.limit))
	header.Set("X-RateLimit-Used", strconv.Itoa(1000-s.limit))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(s.reset.Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
	return within
}

// answer sends JSON; what the client says it has already is not sent again,
// and costs nothing of the rate limit.
func (c call) answer(code int, value any) {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	header := c.w.Header()
	sum := sha256.Sum256(content)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if code == http.StatusOK {
		header.Set("ETag", tag)
	}
	if c.r.Method == http.MethodGet && c.r.Header.Get("If-None-Match") == tag {
		c.refund()
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(content)))
	c.w.WriteHeader(code)
	_, _ = c.w.Write(content)
}

// later answers when the lock is free, which the caller holds and answer takes.
func (c call) later(code int, value any) {
	c.mu.Unlock()
	defer c.mu.Lock()
	c.answer(code, value)
}

func (c call) refund() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit >= 0 {
		c.limit++
	}
}

// page is the part of a list that was asked for; the others are in the Link header.
func page[T any](c call, all []T) []T {
	size, number := c.number("per_page", 30), c.number("page", 1)
	size = min(size, 100)
	last := max(1, (len(all)+size-1)/size)
	var links []string
	link := func(rel string, to int) {
		query := c.r.URL.Query()
		query.Set("page", strconv.Itoa(to))
		at := url.URL{Scheme: "http", Host: c.r.Host, Path: c.r.URL.Path, RawQuery: query.Encode()}
		links = append(links, fmt.Sprintf(`<%s>; rel="%s"`, at.String(), rel))
	}
	if number > 1 {
		link("prev", number-1)
		link("first", 1)
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	if len(links) > 0 {
		c.w.Header().Set("Link", strings.Join(links, ", "))
	}
	from := min(len(all), (number-1)*size)
	return append([]T{}, all[from:min(len(all), from+size)]...)
}

func (c call) number(name string, otherwise int) int {
	n, err := strconv.Atoi(c.r.URL.Query().Get(name))
	if err != nil || n < 1 {
		return otherwise
	}
	return n
}

// decode reads what was sent; it answers where that is no JSON.
func (c call) decode(into any) bool {
	content, err := io.ReadAll(c.r.Body)
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		problem(c.w, http.StatusBadRequest, "Problems parsing JSON")
	}
	return err == nil
}

func (c call) repository() {
	c.answer(http.StatusOK, map[string]any{
		"full_name": c.repo.name, "default_branch": "main", "html_url": c.URL() + "/" + c.repo.name,
		"permissions": map[string]bool{"push": c.may, "pull": true},
	})
}

func (c call) listTags() {
	tags := c.Tags(c.repo.name)
	var all []any
	for _, tag := range tags {
		all = append(all, map[string]any{"name": tag.Name, "commit": map[string]string{"sha": tag.Commit}})
	}
	c.answer(http.StatusOK, page(c, all))
}

func (c call) ref() {
	name := c.r.PathValue("tag")
	c.mu.Lock()
	tag, ok := c.repo.tag(name)
	c.mu.Unlock()
	if !ok {
		notFound(c.w)
		return
	}
	c.answer(http.StatusOK, map[string]any{
		"ref": "refs/tags/" + tag.Name, "object": map[string]string{"type": "commit", "sha": tag.Commit},
	})
}
