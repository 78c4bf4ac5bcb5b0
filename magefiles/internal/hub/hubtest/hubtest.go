// Package hubtest is a GitHub for tests: an HTTP server with repositories,
// tags, releases with assets, issues, branches, pull requests and the jobs of workflows, that answers as
// GitHub does, also when it limps. Only tests import it, and what plays the workflows.
package hubtest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Tokens that the server knows. It believes no other.
const (
	Token     = "hubtest-token"           // may do everything
	ReadToken = "hubtest-read-only-token" // may read, and see no draft
)

// Server is the fake. Its methods may be called while it serves.
type Server struct {
	web, files *httptest.Server
	dir        string

	mu     sync.Mutex
	repos  map[string]*repository
	nextID int64
	now    func() time.Time
	faults []*Fault
	limit  int       // calls that are left in this hour; negative: no limit
	reset  time.Time // when the hour ends
	leaks  []string  // where a token was sent that should not get it

	noting sync.Mutex // taken while mu is held, never the other way round
	calls  []*Call
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server that keeps its assets in dir.
func Start(dir string) (*Server, error) {
	if err := os.MkdirAll(filepath.Join(dir, "assets"), 0o755); err != nil {
		return nil, fmt.Errorf("starting the fake GitHub: %w", err)
	}
	s := &Server{dir: dir, repos: map[string]*repository{}, now: time.Now, limit: -1}
	s.web = httptest.NewServer(s.observe(s.routes()))
	s.files = httptest.NewServer(s.observe(http.HandlerFunc(s.storage)))
	return s, nil
}

// Close ends the server, and every call that runs.
func (s *Server) Close() {
	for _, server := range []*httptest.Server{s.web, s.files} {
		server.CloseClientConnections()
		server.Close()
	}
}

// URL is the address of the pages, as GITHUB_SERVER_URL has it.
func (s *Server) URL() string { return s.web.URL }

// API is the address of the API, as GITHUB_API_URL has it on an Enterprise
// server; uploads go to /api/uploads beside it.
func (s *Server) API() string { return s.web.URL + "/api/v3" }

// Environ is what a program needs in its environment to work with the server.
func (s *Server) Environ() []string {
	return []string{"GITHUB_TOKEN=" + Token, "GH_TOKEN=", "GITHUB_API_URL=" + s.API(), "GITHUB_SERVER_URL=" + s.URL()}
}

// SetNow sets the clock.
func (s *Server) SetNow(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Limit sets the rate limit: so many calls are answered until reset, further
// ones with 403 and the time of the reset, after which there is no limit.
func (s *Server) Limit(calls int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.reset = calls, reset
}

// Leaks are the places other than GitHub that were sent a token.
func (s *Server) Leaks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.leaks...)
}
