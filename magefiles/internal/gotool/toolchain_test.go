package gotool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool/gotooltest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// unpacked is the toolchain's folder in the module cache of the test.
func unpacked(want pkgdef.Toolchain) string {
	return filepath.Join(os.Getenv("GOMODCACHE"), gotool.ModuleOf(want))
}

// The go command in PATH is of the very version, and yet it is not the one that
// compiles.
func TestVerified(t *testing.T) {
	want := gotooltest.Install(t)
	for range 2 { // fetched, and found again with what was made of it
		found, err := gotool.Verified(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		command := found.Command("env", "GOVERSION")
		if program, _, _ := strings.Cut(command.String(), " "); program != filepath.Join(unpacked(want), "bin", "go") {
			t.Errorf("the go command is %s", program)
		}
		if said, err := command.Output(t.Context()); err != nil || said != want.Version {
			t.Errorf("it says %q, %v", said, err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(unpacked(want), "src", "go.mod")); err != nil || string(content) != "module std\n" {
		t.Errorf("src/go.mod: %q, %v", content, err)
	}
}

func TestAnotherToolchain(t *testing.T) {
	other := "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for name, test := range map[string]struct {
		change func(t *testing.T, want *pkgdef.Toolchain)
		words  []string
	}{
		"another sum": {func(_ *testing.T, want *pkgdef.Toolchain) { want.Sums[gotool.Host()] = other },
			[]string{"it is not what it was: its sum is h1:", "source.yaml has " + other, "find out why"}},
		"no sum": {func(_ *testing.T, want *pkgdef.Toolchain) { delete(want.Sums, gotool.Host()) },
			[]string{"source.yaml has no sum of it for " + gotool.Host()}},
		"no such version": {func(_ *testing.T, want *pkgdef.Toolchain) { want.Version = "go1.99.0" },
			[]string{"fetching the toolchain golang.org/toolchain@v0.0.1-go1.99.0."}},
		"another program in the cache": {func(t *testing.T, want *pkgdef.Toolchain) { edit(t, *want, "bin/go", "#!/bin/sh\n") },
			[]string{"the module cache is damaged or was tampered with", "go clean -modcache"}},
		"one more file in the cache": {func(t *testing.T, want *pkgdef.Toolchain) { edit(t, *want, "pkg/tool/harm", "") },
			[]string{"the module cache is damaged"}},
		"another copy of a go.mod": {func(t *testing.T, want *pkgdef.Toolchain) { edit(t, *want, "src/go.mod", "module harm\n") },
			[]string{"the module cache is damaged"}},
		"a go.mod that is no copy": {func(t *testing.T, want *pkgdef.Toolchain) { edit(t, *want, "pkg/go.mod", "module harm\n") },
			[]string{"the module cache is damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := gotooltest.Install(t)
			if _, err := gotool.Verified(t.Context(), want); err != nil {
				t.Fatal(err)
			}
			test.change(t, &want)
			_, err := gotool.Verified(t.Context(), want)
			for _, word := range test.words {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("the error does not say %q: %v", word, err)
				}
			}
		})
	}
}

// edit writes a file of the unpacked toolchain.
func edit(t *testing.T, want pkgdef.Toolchain, name, content string) {
	t.Helper()
	gotooltest.Writable(t, unpacked(want))
	file := filepath.Join(unpacked(want), filepath.FromSlash(name))
	_ = os.Remove(file)
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}
