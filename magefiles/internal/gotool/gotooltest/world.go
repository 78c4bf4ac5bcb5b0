package gotooltest

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"testing"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// World is a module proxy in a folder and a checksum database on this machine, with
// caches of their own: to the go command nothing else exists.
type World struct {
	Proxy     string            // the folder
	Cache     string            // module cache
	Sums      map[string]string // the database's records, by path@version
	Toolchain pkgdef.Toolchain
	Database  string // as GOSUMDB has it
}

// NewWorld makes one that has nothing but a toolchain, and the test's environment so.
func NewWorld(t *testing.T) *World {
	t.Helper()
	w := &World{Proxy: t.TempDir(), Cache: Cache(t), Sums: map[string]string{}}
	toolchain, lines := Toolchain(t, w.Proxy)
	w.Toolchain = toolchain
	w.Sums[gotool.ModuleOf(w.Toolchain)] = lines
	w.Database = w.database(t)
	for name, value := range map[string]string{
		"GOENV": "off", "GOFLAGS": "", "GOPRIVATE": "", "GONOPROXY": "", "GONOSUMDB": "", "GOINSECURE": "", "GOWORK": "off",
		"GOPROXY": "file://" + w.Proxy, "GOMODCACHE": w.Cache, "GOPATH": t.TempDir(), "GOSUMDB": w.Database,
	} {
		t.Setenv(name, value)
	}
	return w
}

// database starts the checksum database: golang.org/x/mod's own server, with
// a key of its own. It gives the value of GOSUMDB.
func (w *World) database(t *testing.T) string {
	t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "sums.example.org")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sumdb.NewServer(sumdb.NewTestServer(private, func(path, version string) ([]byte, error) {
		if lines, ok := w.Sums[path+"@"+version]; ok {
			return []byte(lines), nil
		}
		return nil, fmt.Errorf("%s@%s: %w", path, version, fs.ErrNotExist)
	})))
	t.Cleanup(server.Close)
	return public + " " + server.URL
}

// Publish puts a module into the proxy and its sums into the database.
func (w *World) Publish(t *testing.T, path, version string, files map[string]string) (sum string, lines string) {
	t.Helper()
	sum, lines = Publish(t, w.Proxy, path, version, files)
	w.Sums[path+"@"+version] = lines
	return sum, lines
}
