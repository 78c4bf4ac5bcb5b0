// Package suitetest gives tests the packages that were built, and a repository of them.
package suitetest

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// Root is the checkout, from a package of a check.
var Root = filepath.Join("..", "..", "..", "..")

// Packages is the folder of a version that was built.
func Packages(t *testing.T) string {
	t.Helper()
	built := os.Getenv("SPIRE_TEST_BUILT")
	if built == "" {
		t.Skip("NOT CHECKED: SPIRE_TEST_BUILT names no folder of built packages")
	}
	if err := tool.Need(tool.Programs(tool.Release)...); err != nil {
		t.Skipf("NOT CHECKED: the steps would install what is missing: %v", err)
	}
	return built
}

// Served is a repository of the packages that were built, signed by a key of gpg's,
// and served.
type Served struct {
	*testing.T
	Key      *testkey.Key
	Signed   []string // files
	Pipeline pipeline.Pipeline
	Version  string // with the packaging's release
}

// NewServed signs what was built.
func NewServed(t *testing.T) *Served {
	t.Helper()
	built := Packages(t)
	s := &Served{T: t, Pipeline: pipeline.Pipeline{Root: Root, Dist: artifact.Dist(t.TempDir()), Log: io.Discard, Rehearsal: true}}
	var err error
	if s.Key, err = testkey.New(t.Context(), testkey.Rehearsal, time.Now()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Key.Close)
	files, err := artifact.Sums(built)
	if err != nil {
		t.Fatal(err)
	}
	machines := t.TempDir()
	if err := os.Symlink(built, filepath.Join(machines, "built")); err != nil {
		t.Fatal(err)
	}
	made, err := s.Pipeline.Sign(t.Context(), pipeline.Options{
		Version: filepath.Base(built), Arches: []string{runtime.GOARCH},
		Prebuilt: machines, Rebuilt: pipeline.Result{Files: files}.Digests(),
	}, pipeline.Opened(s.Key.Signer), pipeline.Builder{}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Signed = made.Paths()
	for _, file := range s.Signed {
		if name, ok := strings.CutSuffix(filepath.Base(file), ".dsc"); ok {
			s.Version = strings.TrimPrefix(name, "spire_")
		}
	}
	return s
}

// Publish publishes, some time ago, and gives the folder and where it is served.
func (s *Served) Publish(ago time.Duration) (dir, url string) {
	s.Helper()
	dir = filepath.Join(s.TempDir(), "www")
	if err := os.Mkdir(dir, 0o755); err != nil {
		s.Fatal(err)
	}
	server := httptest.NewServer(web.Handler(os.DirFS(dir)))
	s.Cleanup(server.Close)
	_, err := s.Pipeline.Publish(s.Context(), pipeline.Archive{
		Dir: dir, URL: server.URL, Signer: s.Key.Signer, Now: time.Now().Add(-ago),
	}, s.Signed)
	if err != nil {
		s.Fatal(err)
	}
	return dir, server.URL
}

// Digest is a file's SHA-256 and name.
func (s *Served) Digest(file string) string {
	s.Helper()
	sum, _, err := artifact.Digest(file)
	if err != nil {
		s.Fatal(err)
	}
	return sum + " " + filepath.Base(file)
}

// Text is the content of a file of the checkout.
func Text(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(Root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Tree writes files below a new folder.
func Tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
