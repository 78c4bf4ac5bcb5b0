// Package s3test is object storage for tests: a service in memory with what of S3's
// interface a publication uses, and a front before that one or a real one, which counts,
// does faults, and cuts off.
package s3test

import (
	"crypto/md5" // an ETag is one
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Bucket is the only one that the service in memory has.
const Bucket = "archive"

// Object is one that was put.
type Object struct {
	Content []byte
	Header  http.Header
}

// Memory is a service in memory. It lists nothing: who has to ask for a list depends on when
// it is true.
type Memory struct {
	// Careless ignores conditions, as services do that do not know them.
	Careless bool

	mu      sync.Mutex
	objects map[string]Object // by key
}

// NewMemory is one without objects.
func NewMemory() *Memory { return &Memory{objects: map[string]Object{}} }

// Objects are those that are there, by key.
func (m *Memory) Objects() map[string]Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.objects)
}

// Put puts an object as somebody else's tool would.
func (m *Memory) Put(key string, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = Object{Content: content, Header: http.Header{}}
}

// Delete deletes an object.
func (m *Memory) Delete(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
}

// Clone is another service with the same objects.
func (m *Memory) Clone() *Memory { return &Memory{objects: m.Objects()} }

// Dump writes the objects below a prefix into a folder.
func (m *Memory) Dump(t testing.TB, prefix, dir string) {
	t.Helper()
	for key, object := range m.Objects() {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, object.Content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func etag(content []byte) string {
	sum := md5.Sum(content)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// ServeHTTP answers. It is a lock: requests come one after the other.
func (m *Memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	key, ok := strings.CutPrefix(r.URL.Path, "/"+Bucket+"/")
	if err != nil || !ok || key == "" || r.URL.RawQuery != "" && r.URL.RawQuery != "x-id=GetObject" {
		refuse(w, http.StatusBadRequest, "NotImplemented")
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	there, found := m.objects[key]
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if !found {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		maps.Copy(w.Header(), there.Header)
		w.Header().Set("ETag", etag(there.Content))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.Itoa(len(there.Content)))
		_, _ = w.Write(there.Content)
	case http.MethodPut:
		m.put(w, r, key, content)
	case http.MethodDelete:
		delete(m.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func (m *Memory) put(w http.ResponseWriter, r *http.Request, key string, content []byte) {
	there, found := m.objects[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	failed := match != "" && (!found || match != etag(there.Content)) || none == "*" && found
	if failed && !m.Careless {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	if sum := sha256.Sum256(content); r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		refuse(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	kept := http.Header{}
	for name, values := range r.Header {
		if name == "Content-Type" || name == "Cache-Control" || strings.HasPrefix(name, "X-Amz-Meta-") {
			kept[name] = values
		}
	}
	m.objects[key] = Object{content, kept}
	w.Header().Set("ETag", etag(content))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s, says the test</Message></Error>", code, code)
}

// Request is one that came.
type Request struct {
	Method, Key string
	Bytes       int64 // of its body
}

// Fault is done instead of passing a request on, which pass does. done is false where the
// request is passed on as if nothing were.
type Fault func(w http.ResponseWriter, r *http.Request, pass http.Handler) (done bool)

// Front is before a service.
type Front struct {
	URL     string
	service http.Handler

	mu       sync.Mutex
	fault    Fault
	requests []Request
	left     int // requests that pass, before all are cut off; negative for no end
}

// NewFront is before a handler, or the real service at an address.
func NewFront(t testing.TB, service http.Handler) *Front {
	f := &Front{service: service, left: -1}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// At is the real service at an address.
func At(t testing.TB, address string) http.Handler {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { // with the host that was signed
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
}

// Cut cuts off everything after so many requests more; a negative number is no end.
func (f *Front) Cut(after int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = after
}

// Fail has a fault done from now on; nil for none.
func (f *Front) Fail(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// Forget gives the requests that have come, and begins anew.
func (f *Front) Forget() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// ServeHTTP passes requests on.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, passes := f.note(r)
	if !passes {
		panic(http.ErrAbortHandler) // nothing was answered
	}
	if fault == nil || !fault(w, r, f.service) {
		f.service.ServeHTTP(w, r)
	}
}

func (f *Front) note(r *http.Request) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return nil, false
	}
	if f.left > 0 {
		f.left--
	}
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	f.requests = append(f.requests, Request{r.Method, key, max(0, r.ContentLength)})
	return f.fault, true
}
