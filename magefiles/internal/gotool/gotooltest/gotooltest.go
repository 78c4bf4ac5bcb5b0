// Package gotooltest has module proxies in folders for tests, and in them a
// toolchain that is the one that runs the tests.
package gotooltest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Commit and Time are those of every version in a proxy, as it says.
const Commit = "0123456789abcdef0123456789abcdef01234567"

// Time is described with Commit.
var Time = time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC)

// Publish puts a module into the proxy in the folder. It gives its sum, and the
// lines that a checksum database has of it.
func Publish(t *testing.T, proxy, path, version string, files map[string]string) (sum, lines string) {
	t.Helper()
	place := filepath.Join(proxy, filepath.FromSlash(path), "@v")
	info, err := json.Marshal(map[string]any{"Version": version, "Time": Time, "Origin": map[string]string{"VCS": "git", "Hash": Commit}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(place, version+".info"), string(info))
	write(t, filepath.Join(place, version+".mod"), files["go.mod"])
	from := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(from, filepath.FromSlash(name)), content)
	}
	file, err := os.Create(filepath.Join(place, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := modzip.CreateFromDir(file, module.Version{Path: path, Version: version}, from); err != nil {
		t.Fatal(err)
	}
	if sum, err = dirhash.HashZip(file.Name(), dirhash.Hash1); err != nil {
		t.Fatal(err)
	}
	modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(files["go.mod"])), nil })
	if err != nil {
		t.Fatal(err)
	}
	return sum, fmt.Sprintf("%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", path, version, sum, modSum)
}

// Toolchain publishes a toolchain whose go command is the one of the tests, and
// gives the lines of the checksum database, too.
func Toolchain(t *testing.T, proxy string) (want pkgdef.Toolchain, lines string) {
	t.Helper()
	program, err := run.New("sh", "-c", "command -v go").Output(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want.Version = runtime.Version()
	_, version, _ := strings.Cut(gotool.ModuleOf(want), "@")
	sum, lines := Publish(t, proxy, gotool.Module, version, map[string]string{
		"go.mod":        "module " + gotool.Module + "\n",
		"bin/go":        "#!/bin/sh\nexec " + program + " \"$@\"\n",
		"pkg/tool/tool": "",
		"src/_go.mod":   "module std\n",
	})
	want.Sums = map[string]string{gotool.Host(): sum}
	return want, lines
}

// Install makes a proxy that has nothing but such a toolchain, and the test's
// environment such that nothing else exists.
func Install(t *testing.T) pkgdef.Toolchain {
	t.Helper()
	proxy := t.TempDir()
	want, _ := Toolchain(t, proxy)
	for name, value := range map[string]string{"GOPROXY": "file://" + proxy, "GOSUMDB": "off", "GOMODCACHE": Cache(t)} {
		t.Setenv(name, value)
	}
	return want
}

// Cache is a module cache. The go command makes modules read-only, and a folder
// like that could not be removed afterwards.
func Cache(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { Writable(t, dir) })
	return dir
}

// Writable lets everything in a module cache be changed.
func Writable(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
