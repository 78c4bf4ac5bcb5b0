package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/three":
			fmt.Fprint(w, "abc")
		case "/unsaid":
			w.(http.Flusher).Flush() // before its length is known
			fmt.Fprint(w, "abcd")
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	for path, want := range map[string]string{
		"/three":  "",
		"/unsaid": "it has more than the 3 bytes that there is room for",
		"/busy":   "the server says 503 Service Unavailable",
		"/none":   "the server has no such file",
	} {
		var to strings.Builder
		n, err := Get(t.Context(), server.URL+path, 3, &to)
		switch {
		case want == "" && (err != nil || n != 3 || to.String() != "abc"):
			t.Errorf("%s: %d bytes, %q, %v", path, n, to.String(), err)
		case want != "" && (err == nil || err.Error() != want || errors.Is(err, ErrNotThere) != (path == "/none")):
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		if has := Has(t.Context(), server.URL+path); has != (path == "/three" || path == "/unsaid") {
			t.Errorf("%s: it is there: %t", path, has)
		}
	}
	if _, err := Get(t.Context(), server.URL+"/three", 2, io.Discard); err == nil || err.Error() != "it has 3 bytes, and there is room for 2" {
		t.Errorf("%v", err)
	}
	if Has(t.Context(), "http://127.0.0.1:1/") {
		t.Error("nobody has it")
	}
}

func TestCopy(t *testing.T) {
	const empty, abc = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	for from, want := range map[string]string{"": empty + " 0 ", "abc": abc + " 3 abc", "abcdef": "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589 4 abcd"} {
		var to strings.Builder
		sum, n, err := Copy(&to, strings.NewReader(from), 3)
		if got := fmt.Sprint(sum, " ", n, " ", to.String()); got != want || err != nil {
			t.Errorf("%q: %s, %v, want %s", from, got, err, want)
		}
	}
}

func TestNoWayBackFromHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	trusting := secure.Client()
	trusting.CheckRedirect = client.CheckRedirect
	response, err := trusting.Get(secure.URL)
	if response != nil {
		_ = response.Body.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "a redirect from https to another scheme") {
		t.Errorf("error %v", err)
	}
}
