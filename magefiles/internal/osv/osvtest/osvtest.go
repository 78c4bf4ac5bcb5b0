// Package osvtest is a stand-in for api.osv.dev that answers as that does.
package osvtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
)

// pageSize is small, that there are pages.
const pageSize = 2

// Advisory is a vulnerability that the server knows.
type Advisory struct {
	ID, Summary, Withdrawn, Fixed string
	Aliases, Upstream             []string
}

// Server is the stand-in.
type Server struct {
	URL string

	mu       sync.Mutex
	known    map[osv.Package][]Advisory
	failures map[string][]int
	answers  map[string]string
	calls    []string
}

// New starts one that knows nothing, until the test ends.
func New(t testing.TB) *Server {
	s, stop := Start()
	t.Cleanup(stop)
	return s
}

// Start starts one that knows nothing, and gives what stops it.
func Start() (s *Server, stop func()) {
	s = &Server{known: map[osv.Package][]Advisory{}, failures: map[string][]int{}, answers: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/querybatch", s.query)
	mux.HandleFunc("GET /v1/vulns/{id}", s.get)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.special(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	s.URL = server.URL
	return s, server.Close
}

// Silent is the address of a server that takes calls and never answers.
func Silent(t testing.TB) string {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() {
		close(over)
		server.Close()
	})
	return server.URL
}

// Add makes a vulnerability of a package known.
func (s *Server) Add(p osv.Package, a Advisory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[p] = append(s.known[p], a)
}

// Fail answers the next calls whose path begins so with each status once.
func (s *Server) Fail(path string, statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures[path] = statuses
}

// Answer answers all calls whose path begins so with this.
func (s *Server) Answer(path, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = body
}

// Count is how many calls had a path that begins so.
func (s *Server) Count(path string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls {
		if strings.HasPrefix(call, path) {
			n++
		}
	}
	return n
}

// special does what a test wants to go another way.
func (s *Server) special(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.URL.Path)
	for path, statuses := range s.failures {
		if strings.HasPrefix(r.URL.Path, path) && len(statuses) > 0 {
			s.failures[path] = statuses[1:]
			problem(w, statuses[0])
			return true
		}
	}
	for path, body := range s.answers {
		if strings.HasPrefix(r.URL.Path, path) {
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	return false
}

// problem is an error in the form of OSV's gateway, which has gRPC's codes.
func problem(w http.ResponseWriter, status int) {
	code := map[int]int{http.StatusBadRequest: 3, http.StatusNotFound: 5, http.StatusTooManyRequests: 8}[status]
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "0")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%d,"message":%q}`, code, http.StatusText(status))
}

// query lists, in each result a page of what one package has.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		Queries []struct {
			Package struct{ Ecosystem, Name string }
			Version string
			Page    string `json:"page_token"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || len(ask.Queries) == 0 || len(ask.Queries) > 1000 {
		problem(w, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := []any{}
	for _, q := range ask.Queries {
		all := s.known[osv.Package{Ecosystem: q.Package.Ecosystem, Name: q.Package.Name, Version: q.Version}]
		from, _ := strconv.Atoi(q.Page)
		to := min(from+pageSize, len(all))
		result := map[string]any{}
		vulns := []any{}
		for _, advisory := range all[from:to] {
			vulns = append(vulns, map[string]string{"id": advisory.ID, "modified": "2026-01-01T00:00:00Z"})
		}
		if len(vulns) > 0 {
			result["vulns"] = vulns
		}
		if to < len(all) {
			result["next_page_token"] = strconv.Itoa(to)
		}
		results = append(results, result)
	}
	answer(w, map[string]any{"results": results})
}

// get gives one advisory.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, advisories := range s.known {
		for _, a := range advisories {
			if a.ID != r.PathValue("id") {
				continue
			}
			found := map[string]any{"id": a.ID, "summary": a.Summary, "schema_version": "1.7.3", "affected": []any{map[string]any{
				"package": map[string]string{"ecosystem": p.Ecosystem, "name": p.Name},
				"ranges":  []any{map[string]any{"type": "ECOSYSTEM", "events": []any{map[string]string{"introduced": "0"}, map[string]string{"fixed": a.Fixed}}}},
			}}}
			if a.Withdrawn != "" {
				found["withdrawn"] = a.Withdrawn
			}
			for field, names := range map[string][]string{"aliases": a.Aliases, "upstream": a.Upstream} {
				if len(names) > 0 {
					found[field] = names
				}
			}
			answer(w, found)
			return
		}
	}
	problem(w, http.StatusNotFound)
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
