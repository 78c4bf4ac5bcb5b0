package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// All patches are tried, and the tree is vendored whatever becomes of them.
func TestTry(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	sum := w.upstream(version)
	f := w.fetcher(
		w.patchTo("0001-bad.patch", "/elsewhere", "/x"),
		w.patchTo("0002-good.patch", "/tmp/api.sock", "/run/api.sock"),
		write(t, filepath.Join(t.TempDir(), "0003-half.patch"), read(t, w.patchTo("x", "/run/api.sock", "/run/half.sock"))+
			"--- a/main.go\n+++ b/main.go\n@@ -1,1 +1,1 @@\n-package other\n+package another\n"),
		w.patchTo("0004-after-half.patch", "/run/half.sock", "/run/whole.sock"),
		write(t, filepath.Join(t.TempDir(), "0005-nowhere.patch"), strings.ReplaceAll(read(t, w.patchTo("y", "/a", "/b")), "sockets.txt", "absent.txt")),
	)
	trial, err := f.Try(t.Context(), version)
	if err != nil {
		t.Fatal(err)
	}
	if trial.Tree.Sum != sum || trial.Tree.Commit != commit || !trial.Tree.Time.Equal(commitTime) || !trial.Tree.Verified {
		t.Errorf("the tree is %+v", trial.Tree)
	}
	var names []string
	for _, r := range trial.Rejected {
		names = append(names, r.Patch)
	}
	if diff := cmp.Diff([]string{"0001-bad.patch", "0003-half.patch", "0005-nowhere.patch"}, names); diff != "" {
		t.Fatal(diff)
	}
	for i, want := range []string{"-socket /elsewhere\n+socket /x\n", "-package other\n+package another", "can't find file to patch"} {
		if got := trial.Rejected[i].Reject; !strings.Contains(got, want) || i == 1 && strings.Contains(got, "half.sock") {
			t.Errorf("of %s is said %q", names[i], got)
		}
	}
	if got := read(t, trial.Tree.Dir, "sockets.txt"); got != "first\nsocket /run/whole.sock\nlast\n" {
		t.Errorf("patched: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(trial.Tree.Dir, "*.rej")); left != nil {
		t.Errorf("patch left %q", left)
	}
	if _, err := os.Stat(filepath.Join(trial.Tree.Dir, "vendor", dependencyPath)); err != nil {
		t.Error(err)
	}
	if hash, err := artifact.HashTree(filepath.Join(trial.Tree.Dir, "vendor"), "vendor"); err != nil || hash != trial.Vendor {
		t.Errorf("the hash of vendor/ is %s (%v), not %s", hash, err, trial.Vendor)
	}
	if _, err := os.Stat(f.Dist.Work(version, "source.json")); err == nil {
		t.Error("a build would take the trial for its tree")
	}
}

// What is known of the version must be so; and what is no rejection is an error.
func TestTryRefuses(t *testing.T) {
	needPatch(t)
	w := newWorld(t)
	sum := w.upstream(version)
	for name, c := range map[string]struct {
		change  func(*Fetcher)
		version string
		want    string
	}{
		"no version": {func(*Fetcher) {}, "v1.13.3", "is not of the form"},
		"unknown":    {func(*Fetcher) {}, "9.9.9", "trying the source of " + modulePath + " 9.9.9"},
		"another commit": {func(f *Fetcher) {
			f.Source.Releases = map[string]pkgdef.Pin{version: {Sum: sum, Commit: "f", Time: commitTime}}
		}, version, "is not what it was"},
		"no patch": {func(f *Fetcher) { f.Source.Patches = []string{"/nowhere/0001-x.patch"} }, version, "/nowhere/0001-x.patch"},
		"a patch of trash": {func(f *Fetcher) {
			f.Source.Patches = []string{write(t, filepath.Join(t.TempDir(), "0001-x.patch"), "no patch")}
		}, version, "0001-x.patch"},
		"no database": {func(*Fetcher) {}, version, "cannot vouch"},
	} {
		t.Run(name, func(t *testing.T) {
			f := w.fetcher()
			c.change(&f)
			if name == "no database" {
				t.Setenv("GOSUMDB", "off")
			}
			if _, err := f.Try(t.Context(), c.version); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error lacks %q: %v", c.want, err)
			}
		})
	}
}
