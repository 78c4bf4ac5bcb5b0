package source

import (
	"archive/zip"
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool/gotooltest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// The module that stands for upstream, and its one dependency.
const (
	modulePath     = "example.org/upstream"
	dependencyPath = "example.org/dependency"
	commit         = gotooltest.Commit
)

var commitTime = gotooltest.Time

// world is a module proxy in a folder and a checksum database on this machine,
// with caches of their own: to the go command nothing else exists.
type world struct {
	t     *testing.T
	proxy string
	cache string            // module cache
	sums  map[string]string // the database's records, by path@version

	toolchain pkgdef.Toolchain
	vouches   string // the database, as GOSUMDB has it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the go command many times")
	}
	w := &world{t: t, proxy: t.TempDir(), cache: gotooltest.Cache(t), sums: map[string]string{}}
	toolchain, lines := gotooltest.Toolchain(t, w.proxy)
	w.toolchain = toolchain
	w.sums[gotool.ModuleOf(w.toolchain)] = lines
	w.vouches = w.database()
	for name, value := range map[string]string{
		"GOENV": "off", "GOFLAGS": "", "GOPRIVATE": "", "GONOPROXY": "", "GONOSUMDB": "", "GOINSECURE": "", "GOWORK": "off",
		"GOPROXY": "file://" + w.proxy, "GOMODCACHE": w.cache, "GOPATH": t.TempDir(), "GOSUMDB": w.vouches,
	} {
		t.Setenv(name, value)
	}
	return w
}

// database starts the checksum database: golang.org/x/mod's own server, with
// a key of its own. It gives the value of GOSUMDB.
func (w *world) database() string {
	w.t.Helper()
	private, public, err := note.GenerateKey(rand.Reader, "sums.example.org")
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(sumdb.NewServer(sumdb.NewTestServer(private, func(path, version string) ([]byte, error) {
		if lines, ok := w.sums[path+"@"+version]; ok {
			return []byte(lines), nil
		}
		return nil, fmt.Errorf("%s@%s: %w", path, version, fs.ErrNotExist)
	})))
	w.t.Cleanup(server.Close)
	return public + " " + server.URL
}

// publish puts a module into the proxy and its sums into the database.
func (w *world) publish(path, version string, files map[string]string) (sum string, lines string) {
	w.t.Helper()
	sum, lines = gotooltest.Publish(w.t, w.proxy, path, version, files)
	w.sums[path+"@"+version] = lines
	return sum, lines
}

// upstream publishes the module in a version, with its dependency, and gives
// its sum.
func (w *world) upstream(version string) (sum string) {
	w.t.Helper()
	_, lines := w.publish(dependencyPath, "v1.0.0", map[string]string{
		"go.mod":  "module " + dependencyPath + "\n\ngo 1.21\n",
		"said.go": "package dependency\n\n// Said is what it says.\nconst Said = \"hello\"\n",
	})
	sum, _ = w.publish(modulePath, "v"+version, upstreamFiles(version, lines))
	return sum
}

func upstreamFiles(version, goSum string) map[string]string {
	return map[string]string{
		"go.mod":                 "module " + modulePath + "\n\ngo 1.21\n\nrequire " + dependencyPath + " v1.0.0\n",
		"go.sum":                 goSum,
		"CHANGELOG.md":           "## [" + version + "] - 2025-10-23\n- what changed\n",
		"main.go":                "package main\n\nimport \"" + dependencyPath + "\"\n\nfunc main() { println(dependency.Said) }\n",
		"pkg/version/version.go": "package version\n\nconst (\n\tBase = \"" + version + "\"\n)\n\nvar gittag, githash string\n",
		"sockets.txt":            "first\nsocket /tmp/api.sock\nlast\n",
	}
}

// fetcher makes trees of the module.
func (w *world) fetcher(patches ...string) Fetcher {
	return Fetcher{
		Source: pkgdef.Source{
			Name: "upstream", Module: modulePath, Toolchain: w.toolchain, Patches: patches,
			VersionVariable: modulePath + "/pkg/version.gittag", CommitVariable: modulePath + "/pkg/version.githash",
		},
		Dist: artifact.Dist(filepath.Join(w.t.TempDir(), "dist")),
		Log:  new(strings.Builder), Databases: []string{w.vouches},
	}
}

// patchTo writes a patch of sockets.txt.
func (w *world) patchTo(name, from, to string) (file string) {
	w.t.Helper()
	return write(w.t, filepath.Join(w.t.TempDir(), name),
		"Why it is there.\n\n--- a/sockets.txt\n+++ b/sockets.txt\n@@ -1,3 +1,3 @@\n first\n-socket "+from+"\n+socket "+to+"\n last\n")
}

// cached is a file of the module in the go command's cache.
func (w *world) cached(suffix string) string {
	return filepath.Join(w.cache, "cache", "download", filepath.FromSlash(modulePath), "@v", suffix)
}

func log(f Fetcher) string { return f.Log.(*strings.Builder).String() }

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// flip changes one bit in the middle of what a zip holds of a file.
func flip(t *testing.T, file, name string) {
	t.Helper()
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	for _, member := range archive.File {
		if path.Base(member.Name) != name {
			continue
		}
		offset, err := member.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		content := []byte(read(t, file))
		content[offset+int64(member.CompressedSize64/2)] ^= 1
		write(t, file, string(content))
		return
	}
	t.Fatalf("%s has no %s", file, name)
}
