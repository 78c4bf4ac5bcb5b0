package verify

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// hostile is a web server that says what a test wants, and notes what is asked of it.
type hostile struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	files map[string]http.HandlerFunc
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{files: map[string]http.HandlerFunc{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.asked = append(h.asked, r.URL.Path)
		serve, ok := h.files[strings.TrimPrefix(r.URL.Path, "/")]
		h.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		serve(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func saying(content string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) }
}

// endless never stops sending, and does not say how much it will be.
func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return
		}
	}
}

// lists has the server serve a list with a signature by signer.
func (h *hostile) lists(t *testing.T, signer *sign.Signer, names ...string) {
	t.Helper()
	var list strings.Builder
	for _, name := range names {
		fmt.Fprintf(&list, "%s  %s\n", artifact.DigestBytes([]byte("x")), name)
	}
	file := filepath.Join(t.TempDir(), artifact.SumsName)
	if err := os.WriteFile(file, []byte(list.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := signer.File(t.Context(), file, file+artifact.Signature); err != nil {
		t.Fatal(err)
	}
	signature, err := os.ReadFile(file + artifact.Signature)
	if err != nil {
		t.Fatal(err)
	}
	h.files[artifact.SumsName], h.files[artifact.SumsSignature] = saying(list.String()), saying(string(signature))
}

// Nothing is asked for, stored or shown that a trusted key has not signed, nor more
// than there is room for.
func TestDownloadFromAHostileServer(t *testing.T) {
	ours, theirs := pipelinetest.Someone(t, "ours"), pipelinetest.Someone(t, "theirs")
	both := []string{"/" + artifact.SumsName, "/" + artifact.SumsSignature}
	for name, test := range map[string]struct {
		serve func(t *testing.T, h *hostile)
		asked []string // nil for any
		want  string   // of the error
	}{
		"a stranger's list of large files": {func(t *testing.T, h *hostile) {
			h.lists(t, theirs, "a.deb", "b.deb")
			h.files["a.deb"], h.files["b.deb"] = endless, endless
		}, both, "nothing that ADDRESS names was downloaded: the signature of SHA256SUMS"},
		"an endless list": {func(_ *testing.T, h *hostile) { h.files[artifact.SumsName] = endless }, both[:1], "it has more than the 1000 bytes that there is room for"},
		"an endless signature": {func(t *testing.T, h *hostile) {
			h.lists(t, ours, "a.deb")
			h.files[artifact.SumsSignature] = endless
		}, both, "SHA256SUMS.asc: it has more than"},
		"an endless file": {func(t *testing.T, h *hostile) { h.lists(t, ours, "a.deb"); h.files["a.deb"] = endless }, nil, "a.deb: it has more than the 2000 bytes"},
		"all files together": {func(t *testing.T, h *hostile) {
			h.lists(t, ours, "a.deb", "b.deb")
			h.files["a.deb"], h.files["b.deb"] = saying(strings.Repeat("x", 1900)), saying(strings.Repeat("x", 1900))
		}, nil, "b.deb: it has 1900 bytes, and there is room for 1100"},
		"a file that says that it is large": {func(t *testing.T, h *hostile) {
			h.lists(t, ours, "a.deb")
			h.files["a.deb"] = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "300000000") }
		}, nil, "a.deb: it has 300000000 bytes, and there is room for 2000"},
		"a file that is cut off": {func(t *testing.T, h *hostile) {
			h.lists(t, ours, "a.deb")
			h.files["a.deb"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = w.Write([]byte("half"))
			}
		}, nil, "a.deb: unexpected EOF"},
		"a file that never comes": {func(t *testing.T, h *hostile) {
			h.lists(t, ours, "a.deb")
			h.files["a.deb"] = func(w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
		}, nil, "a.deb: it took longer than 2s"},
		"redirects for ever": {func(_ *testing.T, h *hostile) {
			h.files[artifact.SumsName] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "SHA256SUMS", http.StatusFound) }
		}, nil, "more than 5 redirects"},
		"a redirect with an escape": {func(_ *testing.T, h *hostile) {
			h.files[artifact.SumsName] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://\x1b]0;owned\x07/")
				w.WriteHeader(http.StatusFound)
			}
		}, nil, "downloading ADDRESS/SHA256SUMS: "},
		"a name with an escape":     {func(t *testing.T, h *hostile) { h.lists(t, ours, "a\x1b]0;owned\a.deb") }, both, `"a\x1b]0;owned\a.deb" is not the name of a shipped file`},
		"a hidden name":             {func(t *testing.T, h *hostile) { h.lists(t, ours, ".a.deb") }, both, `".a.deb" is not the name`},
		"the list in its own place": {func(t *testing.T, h *hostile) { h.lists(t, ours, "SHA256SUMS.asc") }, both, `"SHA256SUMS.asc" is not the name`},
		"an unknown answer": {func(_ *testing.T, h *hostile) {
			h.files[artifact.SumsName] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }
		}, nil, "the server says 418 I'm a teapot"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			test.serve(t, h)
			var log bytes.Buffer
			d := fetched{
				address: h.URL, dir: t.TempDir(), trusted: sign.NewKeyring(ours.Certificate()), log: &log,
				limits: limits{list: 1000, file: 2000, total: 3000, time: 2 * time.Second},
			}
			err := d.all(t.Context())
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), h.URL, "ADDRESS"), test.want) {
				t.Fatalf("error %v, want %q", err, test.want)
			}
			if test.asked != nil && !slices.Equal(h.asked, test.asked) {
				t.Errorf("asked for %q", h.asked)
			}
			if said := err.Error() + log.String(); strings.ContainsAny(said, "\x1b\a\u009b") {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// What a terminal acts on, or what reads as what it is not, is written out.
func TestPrinted(t *testing.T) {
	for text, want := range map[string]string{
		"spire-agent_1.13.3-1_amd64.deb": "spire-agent_1.13.3-1_amd64.deb",
		"Grüße, \"quoted\" it's":         "Grüße, \"quoted\" it's",
		"\x1b[2Jgone":                    `\x1b[2Jgone`,
		"\x1b]0;title\a":                 `\x1b]0;title\a`,
		"one\rtwo\nthree\t":              `one\rtwo\nthree\t`,
		"\u009b31m":                      `\u009b31m`,
		"bad\xffbyte":                    `bad\xffbyte`,
		"deb\u202ebed.x":                 `deb\u202ebed.x`,
	} {
		if got := printed(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	verdict := Verdict{File: "a\x1b[31m", Err: fmt.Errorf("one\ntwo \x1b[0m")}
	if got := verdict.String(); got != `BAD  a\x1b[31m: one; two \x1b[0m` {
		t.Errorf("got %q", got)
	}
}
