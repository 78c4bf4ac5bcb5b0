package web

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestHandler(t *testing.T) {
	server := httptest.NewServer(Handler(fstest.MapFS{
		"index.html":           {Data: []byte("front page")},
		"apt/pool/a.deb":       {Data: []byte("deb")},
		"files/index.html":     {Data: []byte("page")},
		".work/secret":         {Data: []byte("hidden")},
		"files/.hidden":        {Data: []byte("hidden")},
		"apt/dists/stable/Rel": {Data: []byte("Origin: x")},
	}))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		method, path string
		code         int
		body         string
	}{
		{"GET", "/", 200, "front page"},
		{"GET", "/apt/pool/a.deb", 200, "deb"},
		{"HEAD", "/apt/pool/a.deb", 200, ""},
		{"GET", "/files/", 200, "page"},
		{"GET", "/apt/", 404, ""},
		{"GET", "/apt/pool", 404, ""},
		{"GET", "/apt/pool/", 404, ""},
		{"GET", "/absent", 404, ""},
		{"GET", "/.work/secret", 404, ""},
		{"GET", "/files/.hidden", 404, ""},
		{"GET", "/files/%2ehidden", 404, ""},
		{"GET", "/../etc/passwd", 404, ""},
		{"POST", "/", 405, ""},
		{"DELETE", "/apt/pool/a.deb", 405, ""},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != test.code || test.body != "" && string(body) != test.body {
			t.Errorf("%s %s: %d %q (%v)", test.method, test.path, response.StatusCode, body, err)
		}
		if strings.Contains(string(body), "hidden") {
			t.Errorf("%s %s gives %q", test.method, test.path, body)
		}
	}
}

// A client may ask for a part, as those do whose download broke off, and need
// not be sent what it has.
func TestConditional(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "InRelease")
	if err := os.WriteFile(file, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	handler := Handler(os.DirFS(dir))
	for header, test := range map[string]struct {
		value string
		code  int
	}{
		"Range":             {"bytes=4-", http.StatusPartialContent},
		"If-Modified-Since": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), http.StatusNotModified},
	} {
		request := httptest.NewRequest(http.MethodGet, "/InRelease", nil)
		request.Header.Set(header, test.value)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code != test.code {
			t.Errorf("%s: %d", header, answer.Code)
		}
	}
}

// A link cannot lead out of the folder.
func TestLinksOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "repo")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret", filepath.Join(inside, "link")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	answer := httptest.NewRecorder()
	Handler(root.FS()).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/link", nil))
	if answer.Code == http.StatusOK || strings.Contains(answer.Body.String(), "secret") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// The server says where it is, serves, lets a download come to its end when it
// is stopped, and then ends without an error.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("front page"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, "127.0.0.1:0", dir, writer) }()
	line := make([]byte, 4096)
	n, err := reader.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/`).Find(line[:n])
	if url == nil || !bytes.Contains(line[:n], []byte(dir)) {
		t.Fatalf("it says %q", line[:n])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, string(url), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || string(body) != "front page" {
		t.Errorf("%q (%v)", body, err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServeCannot(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if err := Serve(t.Context(), taken.Addr().String(), t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port that is taken: %v", err)
	}
	if err := Serve(t.Context(), "127.0.0.1:0", filepath.Join(t.TempDir(), "absent"), io.Discard); err == nil || !strings.Contains(err.Error(), "is there a repository?") {
		t.Errorf("a folder that is not there: %v", err)
	}
}
