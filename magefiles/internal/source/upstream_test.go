package source

import (
	"archive/zip"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
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

// world is a module proxy and a checksum database, with what the tests know of them.
type world struct {
	*gotooltest.World
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the go command many times")
	}
	return &world{gotooltest.NewWorld(t), t}
}

// upstream publishes the module in a version, with its dependency, and gives
// its sum.
func (w *world) upstream(version string) (sum string) {
	w.t.Helper()
	_, lines := w.Publish(w.t, dependencyPath, "v1.0.0", map[string]string{
		"go.mod":  "module " + dependencyPath + "\n\ngo 1.21\n",
		"said.go": "package dependency\n\n// Said is what it says.\nconst Said = \"hello\"\n",
	})
	sum, _ = w.Publish(w.t, modulePath, "v"+version, upstreamFiles(version, lines))
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
			Name: "upstream", Module: modulePath, Toolchain: w.Toolchain, Patches: patches,
			VersionVariable: modulePath + "/pkg/version.gittag", CommitVariable: modulePath + "/pkg/version.githash",
		},
		Dist: artifact.Dist(filepath.Join(w.t.TempDir(), "dist")),
		Log:  new(strings.Builder), Databases: []string{w.Database},
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
	return filepath.Join(w.Cache, "cache", "download", filepath.FromSlash(modulePath), "@v", suffix)
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
