// Package rootfstest has a root for tests that boot containers, and sees that these go.
package rootfstest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
)

// Row is a row of the real file.
func Row(t *testing.T, name string) matrix.Distribution {
	t.Helper()
	rows, err := matrix.Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return rows[slices.IndexFunc(rows, func(r matrix.Distribution) bool { return r.Name == name })]
}

// Cache is where the tests of the packages keep their roots too.
func Cache(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "spire-packages", "roots")
}

// Target is one with a root small enough for a test, and a real row's, so that it is
// made once: the root's name in Docker, too. It skips the test where containers cannot
// be booted.
func Target(t *testing.T) (target matrix.Target, image string) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a container")
	}
	if err := container.Reachable(t.Context()); err != nil {
		t.Skip(err)
	}
	target = matrix.Target{Distribution: Row(t, "debian-12"), Arch: runtime.GOARCH}
	image, err := (&rootfs.Maker{Cache: Cache(t)}).RootOf(t.Context(), target)
	if err != nil && os.Geteuid() != 0 {
		t.Skip("making a root needs to be root: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return target, image
}

// Temporary is a container of the image that goes with the test.
func Temporary(t *testing.T, image string) container.Container {
	t.Helper()
	label, err := container.Label()
	if err != nil {
		t.Fatal(err)
	}
	c := container.Container{
		Name:  fmt.Sprintf("spire-packages-%s-%d", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), os.Getpid()),
		Image: image, Label: label, Network: "host",
	}
	t.Cleanup(func() { _ = c.Discard(context.Background()) })
	return c
}

// NoContainers checks that this process left none.
func NoContainers(t *testing.T) {
	t.Helper()
	label, err := container.Label()
	if err != nil {
		t.Fatal(err)
	}
	if list, err := container.Owned(label).Output(t.Context()); err != nil || list != "" {
		t.Errorf("containers left behind: %s (%v)", list, err)
	}
	if list, err := container.OwnedNetworks(label).Output(t.Context()); err != nil || list != "" {
		t.Errorf("networks left behind: %s (%v)", list, err)
	}
}
