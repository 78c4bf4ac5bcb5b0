package sources

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// One source package builds for every architecture, so its texts are those of
// all of them.
func TestSameTexts(t *testing.T) {
	s := &Sources{Maker: Maker{Version: inventory.Version{
		Dist:     artifact.Dist(t.TempDir()),
		Packages: []pkgdef.Package{{Name: "demo", Command: "cmd/demo"}},
		Tree:     artifact.Tree{Version: "1.2.3", Verified: true},
	}}, formats: []string{"dsc"}}
	put := func(arch, text string) {
		t.Helper()
		if err := artifact.WriteBytes(s.Dist.Work("1.2.3", arch, "demo", "docs", "manual.1"), 0o644, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	put("amd64", "same")
	put("arm64", "same")
	for _, arch := range []string{"amd64", "arm64"} {
		if err := s.Add(arch, nil); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
	}
	if s.arch != "amd64" {
		t.Errorf("the texts are those of %q", s.arch)
	}
	put("arm64", "other")
	if err := s.Add("arm64", nil); err == nil || !strings.Contains(err.Error(), "the texts of demo are not the same for amd64 and arm64") {
		t.Errorf("error %v", err)
	}
	s.formats = nil
	if err := s.Add("arm64", nil); err != nil {
		t.Errorf("without a source package it matters to nobody: %v", err)
	}
}

// Where packing fails, nobody waits for the archives.
func TestFinishEnds(t *testing.T) {
	begun, cancel := context.WithCancel(t.Context())
	s := &Sources{cancel: cancel, done: make(chan struct{}), formats: []string{"dsc"}}
	go func() {
		<-begun.Done()
		s.err = begun.Err()
		close(s.done)
	}()
	ctx, fail := context.WithCancel(t.Context())
	fail()
	ended := make(chan error, 1)
	go func() {
		_, err := s.Finish(ctx)
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for what nobody wants")
	}
}

// A rebuild is for the machine that it runs on.
func TestPortable(t *testing.T) {
	env := portable()
	for _, v := range env {
		if strings.HasPrefix(v, "GOARCH=") || strings.HasPrefix(v, "GOOS=") {
			t.Errorf("%q fixes the machine", v)
		}
	}
	for _, want := range []string{"CC=musl-gcc", "CGO_ENABLED=1", "GOAMD64=v1"} {
		if !slices.Contains(env, want) {
			t.Errorf("%q has no %s", env, want)
		}
	}
}
