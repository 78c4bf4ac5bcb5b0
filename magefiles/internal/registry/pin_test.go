package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	served "github.com/google/go-containerregistry/pkg/registry"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

const unpinned = `# The rows.
- name: a
  format: deb
  image:
    reference: owner/name:1 # its newest
    packages: [systemd]
  architectures: [` + runtime.GOARCH + `]
  tier: blocking
  end-of-life: rolling

- name: b
  format: deb
  image:
    suite: sid
  architectures: [amd64]
  tier: informing
  end-of-life: rolling
`

// TestPin: the pins are what the tags have, follow them when asked, and stay
// otherwise.
func TestPin(t *testing.T) {
	if err := container.Reachable(t.Context()); err != nil {
		t.Skip(err)
	}
	server := httptest.NewServer(served.New(served.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	t.Setenv(Variable, strings.TrimPrefix(server.URL, "http://"))
	file := filepath.Join(t.TempDir(), "distros.yaml")
	write(t, file, strings.Replace(unpinned, " # its newest", "", 1))

	first := pushed(t, file, "first")
	if err := Pin(t.Context(), file, io.Discard); err != nil {
		t.Fatal(err)
	}
	pinnedAt(t, file, first)
	second := pushed(t, file, "second")
	pinnedAt(t, file, first)
	rows, err := matrix.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	old := Of(rows[0].Image, runtime.GOARCH)
	t.Cleanup(func() { _ = run.New("docker", "rmi", "--force", old.Source()).Run(context.Background()) })
	if err := new(Client).Pull(t.Context(), new(container.Driver), old); err != nil {
		t.Errorf("what is pinned cannot be had when its tag has moved: %v", err)
	}
	if err := Pin(t.Context(), file, io.Discard); err != nil {
		t.Fatal(err)
	}
	pinnedAt(t, file, second)

	before, _ := os.ReadFile(file)
	server.Close()
	if err := Pin(t.Context(), file, io.Discard); err == nil || !strings.Contains(err.Error(), "pinning a: ") {
		t.Errorf("without a registry: %v", err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Errorf("without a registry the file becomes\n%s", after)
	}
}

// pinnedAt wants the file as it was, with that pin.
func pinnedAt(t *testing.T, file, digest string) {
	t.Helper()
	want := strings.Replace(unpinned, " # its newest\n", "\n    digest: "+digest+"\n", 1)
	if got, err := os.ReadFile(file); string(got) != want {
		t.Errorf("the file has\n%s%v\nwant\n%s", got, err, want)
	}
}

// pushed gives the tag in the file an image with that one text in it, which does not
// stay in Docker, and says its digest.
func pushed(t *testing.T, file, text string) string {
	t.Helper()
	rows, err := matrix.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	to := Of(rows[0].Image, runtime.GOARCH)
	to.Digest = ""
	root := filepath.Join(t.TempDir(), "root.tar")
	var content bytes.Buffer
	packed := tar.NewWriter(&content)
	if err := packed.WriteHeader(&tar.Header{Name: "text", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(packed, text)
	_ = packed.Close()
	write(t, root, content.String())
	t.Cleanup(func() { _ = run.New("docker", "rmi", "--force", to.Source()).Run(context.Background()) })
	if err := container.Import(root, to.Source()).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := run.New("docker", "push", "--quiet", to.Source()).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	digest, err := newest(t.Context(), new(container.Driver), rows[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := run.New("docker", "rmi", "--force", to.Source()).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return digest
}

// TestRepin: what cannot be pinned by changing a line is said, and left.
func TestRepin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "distros.yaml")
	write(t, file, unpinned) // with a comment behind the reference
	err := repin(file, map[string]string{"owner/name:1": "sha256:" + strings.Repeat("a", 64)})
	if err == nil || !strings.Contains(err.Error(), "not on a line of its own") {
		t.Errorf("%v", err)
	}
	if got, _ := os.ReadFile(file); string(got) != unpinned {
		t.Errorf("the file becomes\n%s", got)
	}
}

// write makes a file.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
