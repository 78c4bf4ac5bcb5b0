package rootfs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct {
		command run.Command
		want    string
	}{
		{debian{matrix.Image{Suite: "bookworm", Packages: []string{"curl", "apt", "curl"}}, "arm64"}.command(""),
			`mmdebstrap --variant=minbase --format=tar --architectures=arm64 --include=apt,curl bookworm -`},
		{debian{matrix.Image{Suite: "trixie", Packages: []string{"curl"}}, "s390x"}.command(""),
			`mmdebstrap --variant=minbase --format=tar --architectures=s390x --include=curl` +
				` '--setup-hook=sed -i '\''/ trixie /!d'\'' "$1"/etc/apt/sources.list' trixie -`},
		// That any age is taken must not stay in the root.
		{debian{matrix.Image{Suite: "sid", Packages: []string{"curl"}, AnyAge: true}, "amd64"}.command(""),
			`mmdebstrap --variant=minbase --format=tar --architectures=amd64 --include=curl` +
				` '--aptopt=Acquire::Check-Valid-Until "false"' '--customize-hook=rm "$1"/etc/apt/apt.conf.d/99mmdebstrap' sid -`},
	} {
		if got := test.command.String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// TestRecipeHash: what changes the root changes its name, and nothing else.
func TestRecipeHash(t *testing.T) {
	base := debian{matrix.Image{Suite: "bookworm", Packages: []string{"curl", "dbus"}}, "amd64"}
	same := debian{matrix.Image{Suite: "bookworm", Packages: []string{"dbus", "curl"}, StandIn: true}, "amd64"}
	if base.hash() != same.hash() {
		t.Error("the order of packages, or the stand-in, changes the hash")
	}
	for name, other := range map[string]debian{
		"suite":        {matrix.Image{Suite: "trixie", Packages: []string{"curl", "dbus"}}, "amd64"},
		"package":      {matrix.Image{Suite: "bookworm", Packages: []string{"curl"}}, "amd64"},
		"architecture": {matrix.Image{Suite: "bookworm", Packages: []string{"curl", "dbus"}}, "arm64"},
	} {
		if other.hash() == base.hash() {
			t.Errorf("another %s has the same hash", name)
		}
	}
	if !strings.Contains(base.file(), base.hash()) || !strings.HasSuffix(base.tag(), base.hash()) {
		t.Errorf("%s and %s do not carry the hash %s", base.file(), base.tag(), base.hash())
	}
}

// TestTarball runs a stand-in for mmdebstrap, by its name in PATH.
func TestTarball(t *testing.T) {
	r := debian{matrix.Image{Suite: "bookworm", Packages: []string{"curl"}}, "amd64"}
	programs := t.TempDir()
	t.Setenv("PATH", programs)
	cache := filepath.Join(t.TempDir(), "cache")

	if _, err := r.tarball(t.Context(), cache, io.Discard); !errors.Is(err, container.ErrSkip) {
		t.Errorf("without mmdebstrap: %v, want container.ErrSkip", err)
	}
	program(t, programs, "mmdebstrap", "echo half; exit 3")
	if _, err := r.tarball(t.Context(), cache, io.Discard); err == nil || exists(filepath.Join(cache, r.file())) {
		t.Errorf("a root that failed half way: %v, and it is kept: %t", err, exists(filepath.Join(cache, r.file())))
	}
	left := filepath.Join(cache, "root-x.tar.tmp-1")
	write(t, left, "of a killed run")
	program(t, programs, "mmdebstrap", "echo whole")
	path, err := r.tarball(t.Context(), cache, io.Discard)
	if text, _ := os.ReadFile(path); err != nil || string(text) != "whole\n" {
		t.Errorf("made %q, %v", text, err)
	}
	if exists(left) {
		t.Error("what a killed run left is still there")
	}
	program(t, programs, "mmdebstrap", "exit 3")
	if _, err := r.tarball(t.Context(), cache, io.Discard); err != nil {
		t.Errorf("a root that is there is made again: %v", err)
	}
}

func program(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Only a row that says so takes lists of any age, and only its root changes.
func TestAnyAge(t *testing.T) {
	dated := debian{image: matrix.Image{Suite: "sid"}, arch: "amd64"}
	moving := debian{image: matrix.Image{Suite: "sid", AnyAge: true}, arch: "amd64"}
	if strings.Contains(dated.command("").String(), "Valid-Until") || !strings.Contains(moving.command("").String(), "Check-Valid-Until") {
		t.Errorf("%s\n%s", dated.command(""), moving.command(""))
	}
	if dated.hash() == moving.hash() {
		t.Error("two roots under one name")
	}
}

// A recipe with a source's tools has just their versions, and the root another name.
func TestToolsOfTheSource(t *testing.T) {
	tools := pkgdef.Tools{Suite: "bookworm", Snapshot: "20261128T000000Z", Native: map[string]string{"gcc-12": "12.2.0-14+deb12u1", "rpm": "4.18.0"}}
	image := matrix.Image{Suite: "bookworm", Packages: []string{"rpm", "build-essential"}}
	without := debian{image, "amd64"}
	image.Tools = &tools
	with := debian{image, "amd64"}
	got := with.command("http://there/").String()
	for _, want := range []string{"--include=build-essential,gcc-12=12.2.0-14+deb12u1,rpm=4.18.0 ", "Check-Valid-Until", "bookworm - http://there/"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if with.hash() == without.hash() {
		t.Error("two roots under one name")
	}
	if mirror := without.mirror(t.Context()); mirror != "" {
		t.Errorf("a root without them is of the snapshot %s", mirror)
	}
}

// exists says whether a file is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
