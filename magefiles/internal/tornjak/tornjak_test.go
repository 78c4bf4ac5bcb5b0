package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packaged is the configuration that the package brings.
func packaged(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "packages", "tornjak-backend", "backend.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// What is packaged listens on this machine alone, has a database of its own, and lets
// nobody in before somebody has said who vouches for people.
func TestPackagedConfiguration(t *testing.T) {
	text := packaged(t)
	got := read(text)
	want := configuration{
		socket: "unix:///run/spire/server/private/api.sock", address: "127.0.0.1", port: "10000",
		database: "/var/lib/tornjak-backend/tornjak.sqlite3", audience: "tornjak-backend", authenticator: true, authorizer: true,
	}
	if got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	if err := got.guarded(); !errors.Is(err, errUnguarded) || !strings.Contains(err.Error(), "needs an issuer") {
		t.Errorf("as it is installed: %v", err)
	}
	text = strings.Replace(text, "# issuer =", "issuer =", 1)
	if err := read(text).guarded(); err != nil {
		t.Errorf("with an issuer: %v", err)
	}
	for part, want := range map[string]string{
		`Authenticator "`: "no Authenticator", `Authorizer "`: "no Authorizer", "audience =": "issuer and an audience", "spire_socket_path": "spire_socket_path",
	} {
		without := strings.Replace(text, part, "# "+part, 1)
		if err := read(without).guarded(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", part, err)
		}
	}
	byCertificate := strings.Replace(packaged(t), "http {", "https {\nclient_ca = \"/etc/ca.pem\"", 1)
	if err := read(byCertificate).guarded(); err != nil {
		t.Errorf("with clients' certificates: %v", err)
	}
}

// Only who has a token learns whether the server is there.
func TestAnswer(t *testing.T) {
	c := configuration{socket: "unix://" + filepath.Join(t.TempDir(), "none.sock")}
	for token, want := range map[string]int{"": http.StatusUnauthorized, "Bearer bad": http.StatusUnauthorized, "Bearer good": http.StatusBadGateway} {
		request, said := httptest.NewRequest(http.MethodGet, "/api/v1/spire/healthcheck", nil), httptest.NewRecorder()
		request.Header.Set("Authorization", token)
		if c.answer(said, request); said.Code != want {
			t.Errorf("%q: %d, not %d", token, said.Code, want)
		}
	}
}

// A socket is its owner's and group's.
func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "tj") // short: it is a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "api.sock")
	listener, err := listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, error %v", info, err)
	}
}
