package scenario

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	served "github.com/google/go-containerregistry/pkg/registry"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/registry"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs/rootfstest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// cutDown makes of a Debian what distributions' images leave out.
const cutDown = `
echo 'path-exclude=/usr/share/man/*' >/etc/dpkg/dpkg.cfg.d/excludes
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
`

// TestRegistry takes the way of the rows that hosted machines run, with a
// registry of its own that has a local root, cut down.
func TestRegistry(t *testing.T) {
	h, place, said := driver(t, map[string]string{"uses": `set -eu
test -s /usr/share/man/man1/tree.1.gz
test ! -e /usr/sbin/policy-rc.d
tree --version
dpkg-source --version
echo "ok: $(systemctl is-system-running)"`})
	server := httptest.NewServer(served.New(served.Logger(log.New(io.Discard, "", 0)), served.WithBlobHandler(served.NewDiskBlobHandler(t.TempDir()))))
	t.Cleanup(server.Close)
	t.Setenv(registry.Variable, strings.TrimPrefix(server.URL, "http://"))
	fromRegistry := func(name, reference string) matrix.Target {
		return matrix.Target{Distribution: matrix.Distribution{Name: name, Format: pkgdef.Deb, Tier: matrix.Blocking, Image: matrix.Image{Reference: reference, Packages: []string{"tree"}}}, Arch: runtime.GOARCH}
	}
	good := fromRegistry("pulled", "debian:12")
	push(t, h, place, good)
	report, err := h.Run(t.Context(), []matrix.Target{good, fromRegistry("no-tag", "debian:none"), fromRegistry("no-name", "nobody/nothing:1")}, []string{"uses"})
	if err != nil {
		t.Fatal(err)
	}
	if report[0].Status != Passed {
		t.Errorf("from the registry: %+v\n%s", report[0], said)
	}
	for _, missing := range report[1:] {
		if missing.Status != Failed || !strings.Contains(missing.Reason, "the registry has no ") {
			t.Errorf("an image that is not there: %+v", missing)
		}
	}
	rootfstest.NoContainers(t)
}

// push puts a cut down root where the target's root comes from, and takes care that no
// image of the test stays in Docker.
func push(t *testing.T, h *Host, from, to matrix.Target) {
	t.Helper()
	image, err := h.RootOf(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	source := registry.Of(to.Image, to.Arch).Source()
	t.Cleanup(func() {
		made, err := h.RootOf(context.Background(), to)
		if err != nil {
			t.Error(err)
		}
		_ = run.New("docker", "rmi", "--force", source, made).Run(context.Background())
	})
	c := rootfstest.Temporary(t, image)
	for _, command := range []run.Command{
		c.Script(cutDown, nil),
		c.Commit(source),
		run.New("docker", "push", "--quiet", source),
		run.New("docker", "rmi", source),
	} {
		if err := command.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRegistryNotReached: skipped aloud, and asked only once in a run.
func TestRegistryNotReached(t *testing.T) {
	h, place, _ := driver(t, map[string]string{"uses": "true"})
	t.Setenv(registry.Variable, "127.0.0.1:1")
	place.Image = matrix.Image{Reference: "debian:12"}
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"uses"})
	if err != nil || report[0].Status != Skipped || !strings.Contains(report[0].Reason, "connection refused") {
		t.Errorf("%+v, %v", report, err)
	}
	t.Setenv("PATH", t.TempDir()) // no docker to ask
	if _, err := h.RootOf(t.Context(), place); !errors.Is(err, container.ErrSkip) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the second row: %v", err)
	}
}
