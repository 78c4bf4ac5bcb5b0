package hubtest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Call is one request that came, in order of their beginnings.
type Call struct {
	Method string
	// Path begins with /repos for the API, /uploads/repos for uploads, /storage
	// for downloads, and has the query behind it.
	Path   string
	Status int    // what was answered; 0 where nothing was, yet or ever
	Fault  string // what was done to it, if anything
	Token  string
	At     time.Time
}

// String is such as "POST /uploads/repos/o/r/releases/1001/assets?name=x 201".
func (c Call) String() string {
	text := fmt.Sprintf("%s %s %d", c.Method, c.Path, c.Status)
	if c.Fault != "" {
		text += " (" + c.Fault + ")"
	}
	return text
}

// Writes says whether the call is one that changes something.
func (c Call) Writes() bool { return c.Method != http.MethodGet && c.Method != http.MethodHead }

// Calls are all calls so far.
func (s *Server) Calls() []Call {
	s.noting.Lock()
	defer s.noting.Unlock()
	var calls []Call
	for _, call := range s.calls {
		calls = append(calls, *call)
	}
	return calls
}

// Count says how many of the calls match a regular expression on their String.
func (s *Server) Count(expression string) int {
	form, count := regexp.MustCompile(expression), 0
	for _, call := range s.Calls() {
		if form.MatchString(call.String()) {
			count++
		}
	}
	return count
}

// Forget begins the list of calls anew.
func (s *Server) Forget() {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.calls = nil
}

// observe notes each call and does to it what a fault says. Who has an answer
// finds it noted.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := &Call{Method: r.Method, Path: place(r), Token: bearer(r), At: time.Now()}
		fault := s.fault(*call)
		if fault != nil {
			call.Fault = fault.name
		}
		s.noting.Lock()
		s.calls = append(s.calls, call)
		s.noting.Unlock()
		seen := &watched{ResponseWriter: w, note: func(status int) {
			s.noting.Lock()
			defer s.noting.Unlock()
			call.Status = status
		}}
		if fault == nil {
			next.ServeHTTP(seen, r)
			return
		}
		fault.do(s, seen, r, next)
	})
}

// place is a request's path without what only an Enterprise server has before it.
func place(r *http.Request) string {
	path := r.URL.RequestURI()
	if rest, ok := strings.CutPrefix(path, "/api/v3"); ok {
		return rest
	}
	return strings.Replace(path, "/api/uploads/", "/uploads/", 1)
}

func bearer(r *http.Request) string {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token
}

// watched notes the status before anybody can see it.
type watched struct {
	http.ResponseWriter
	note func(status int)
	said bool
}

// WriteHeader notes.
func (w *watched) WriteHeader(status int) {
	w.said = true
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write is a 200 where nothing was said.
func (w *watched) Write(b []byte) (int, error) {
	if !w.said {
		w.said = true
		w.note(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
