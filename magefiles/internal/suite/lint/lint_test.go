package lint

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// lintedBy is what a linter in the named version says of a file, where this machine has
// version 1 of it.
func lintedBy(t *testing.T, version string) (root string, err error) {
	t.Helper()
	root = t.TempDir()
	text := "{suite: bookworm, snapshot: 20261128T000000Z, native: {sh: \"" + version + "\"}}\n"
	programs := filepath.Join(root, "programs")
	if err := errors.Join(
		artifact.WriteBytes(filepath.Join(root, File), 0o644, []byte(text)),
		artifact.WriteBytes(filepath.Join(programs, "dpkg-query"), 0o755, []byte("#!/bin/sh\necho installed sh "+runtime.GOARCH+" 1\n")),
	); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", programs)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	return root, By(t.Context(), subject.Checkout{Root: root, Log: io.Discard}, "sh", []string{"-c", `echo "in $PWD: $1"; exit 3`, "sh"}, "/there/x.deb")
}

func TestLinted(t *testing.T) {
	var skip tally.Skip
	root, err := lintedBy(t, "1")
	if err == nil || errors.As(err, &skip) || !strings.Contains(err.Error(), "in "+root+": /there/x.deb") {
		t.Errorf("in its version: %v", err)
	}
	_, err = lintedBy(t, "2")
	want := "what sh says depends on its version, and that in tests/linters.yaml cannot be had: this machine has sh 1 instead of 2, and no root"
	if !errors.As(err, &skip) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("in another one: %v, want %s", err, want)
	}
}

// The real file names a version of each program that is asked for.
func TestLinters(t *testing.T) {
	tools, err := pkgdef.LoadTools(filepath.Join(suitetest.Root, File))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lintian", "rpmlint", "shellcheck", "systemd"} {
		if tools.Native[name] == "" {
			t.Errorf("%s has no version", name)
		}
	}
	bad := filepath.Join(t.TempDir(), "linters.yaml")
	if err := os.WriteFile(bad, []byte("suite: Debian 12\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pkgdef.LoadTools(bad); err == nil || !strings.Contains(err.Error(), `linters.yaml: tools: suite "Debian 12"`) {
		t.Error(err)
	}
}
