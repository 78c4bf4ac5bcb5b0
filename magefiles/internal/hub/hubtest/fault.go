package hubtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"time"
)

// Fault is something that goes wrong on demand. Faults are asked in the order
// in which they were added; the first that is for a call is done to it.
type Fault struct {
	// Match is a regular expression on METHOD PATH?QUERY of a Call, such as
	// `^POST /uploads/.*name=a\.deb`; empty means every call.
	Match string
	// Skip lets that many matching calls pass first.
	Skip int
	// Times is how many calls it is done to: 0 means one, negative means all.
	Times int
	// Do is what is done.
	Do Effect

	form *regexp.Regexp
	seen int
}

// Effect answers a call instead of, or around, the server.
type Effect struct {
	name string
	do   func(s *Server, w http.ResponseWriter, r *http.Request, next http.Handler)
}

// Fail adds a fault.
func (s *Server) Fail(fault Fault) {
	fault.form = regexp.MustCompile(fault.Match)
	if fault.Times == 0 {
		fault.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &fault)
}

// Heal takes all faults away.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault is what is to be done to a call.
func (s *Server) fault(call Call) *Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		if !fault.form.MatchString(call.Method + " " + call.Path) {
			continue
		}
		fault.seen++
		turn := fault.seen - fault.Skip
		if turn > 0 && (fault.Times < 0 || turn <= fault.Times) {
			return &fault.Do
		}
	}
	return nil
}

// Status answers with an error and does nothing.
func Status(code int) Effect {
	return Effect{fmt.Sprintf("status %d", code), func(_ *Server, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		problem(w, code, http.StatusText(code))
	}}
}

// Stored does what was asked, and then answers with an error all the same.
func Stored(code int) Effect {
	return Effect{fmt.Sprintf("stored, status %d", code), func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		problem(w, code, http.StatusText(code))
	}}
}

// Reset cuts the connection and does nothing.
func Reset() Effect {
	return Effect{"reset", func(_ *Server, w http.ResponseWriter, _ *http.Request, _ http.Handler) { cut(w) }}
}

// StoredReset does what was asked, and cuts the connection instead of answering.
func StoredReset() Effect {
	return Effect{"stored, reset", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
	}}
}

// CutUpload takes some bytes of the body and cuts the connection: the asset
// stays behind as one that was only begun.
func CutUpload(after int64) Effect {
	return Effect{"upload cut", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, after), broken{}), r.Body}
		next.ServeHTTP(httptest.NewRecorder(), r)
		cut(w)
	}}
}

// broken is a body that ends too early.
type broken struct{}

// Read fails.
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Truncate does what was asked, and sends half of the answer.
func Truncate() Effect {
	return Effect{"truncated", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		cut(w)
	}}
}

// Slow does what was asked, and sends the answer in ten parts with a pause
// before each.
func Slow(pause time.Duration) Effect {
	return Effect{"slow", func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		content := answer.Body.Bytes()
		for part := range 10 {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
				return
			}
			_, _ = w.Write(content[len(content)*part/10 : len(content)*(part+1)/10])
			_ = http.NewResponseController(w).Flush()
		}
	}}
}

// RetryAfter is the secondary rate limit, by 403 or 429. The time is in whole
// seconds.
func RetryAfter(code int, after time.Duration) Effect {
	return Effect{fmt.Sprintf("%d, retry after %s", code, after), func(_ *Server, w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Retry-After", strconv.Itoa(int(after.Seconds())))
		problem(w, code, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	}}
}

// Then does something to the server first, and then what was asked: such as
// deleting the draft under the client.
func Then(name string, change func()) Effect {
	return Effect{name, func(_ *Server, w http.ResponseWriter, r *http.Request, next http.Handler) {
		change()
		next.ServeHTTP(w, r)
	}}
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = connection.Close()
}
