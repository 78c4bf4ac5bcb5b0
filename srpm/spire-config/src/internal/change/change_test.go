package change

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func TestApplyKeepsModeAndFormerVersions(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "server.conf")
	put(t, path, "one\n", 0o640)
	for _, text := range []string{"two\n", "three\n"} {
		if err := (Plan{Files: []File{{Path: path, Content: []byte(text), Mode: 0o644}}}).Apply(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got := []string{get(t, path), get(t, path+".before-spire-config"), get(t, path+".before-spire-config.1")}
	if diff := cmp.Diff([]string{"three\n", "one\n", "two\n"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"server.conf", "server.conf.before-spire-config", "server.conf.before-spire-config.1"}, names(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestApplyFollowsLinks(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "real"), filepath.Join(folder, "link")
	put(t, target, "one\n", 0o644)
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	if err := (Plan{Files: []File{{Path: link, Content: []byte("two\n"), Mode: 0o644}}}).Apply(); err != nil {
		t.Fatal(err)
	}
	if where, err := os.Readlink(link); err != nil || where != "real" || get(t, target) != "two\n" {
		t.Errorf("the link leads to %q, %v; the file is %q", where, err, get(t, target))
	}
}

func TestRefusedPlanChangesNothing(t *testing.T) {
	folder := t.TempDir()
	one, two := filepath.Join(folder, "one"), filepath.Join(folder, "two")
	put(t, one, "1\n", 0o644)
	refusal := errors.New("no")
	plan := Plan{
		Files: []File{{Path: one, Content: []byte("2\n"), Mode: 0o644}, {Path: two, Content: []byte("3\n"), Mode: 0o600}},
		Check: func(staged Staged) error {
			if get(t, staged.At(one)) != "2\n" || get(t, staged.At(two)) != "3\n" || staged.At("other") != "other" {
				t.Error("the check does not see what is to be")
			}
			return refusal
		},
	}
	if err := plan.Apply(); !errors.Is(err, refusal) {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one"}, names(t, folder)); diff != "" || get(t, one) != "1\n" {
		t.Error(diff)
	}
}

func TestPending(t *testing.T) {
	folder := t.TempDir()
	same, wide, other := filepath.Join(folder, "same"), filepath.Join(folder, "wide"), filepath.Join(folder, "other")
	put(t, same, "1\n", 0o644)
	put(t, wide, "1\n", 0o644)
	pending, err := Plan{Files: []File{
		{Path: same, Content: []byte("1\n"), Mode: 0o600},
		{Path: wide, Content: []byte("1\n"), Mode: 0o600, Private: true},
		{Path: other, Content: []byte("1\n"), Mode: 0o600},
	}}.Pending()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, file := range pending.Files {
		paths = append(paths, file.Path)
	}
	if diff := cmp.Diff([]string{wide, other}, paths); diff != "" {
		t.Error(diff)
	}
	if err := pending.Apply(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(wide); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a private file has mode %v, %v", info.Mode(), err)
	}
}

func TestDiff(t *testing.T) {
	folder := t.TempDir()
	path, secret := filepath.Join(folder, "a"), filepath.Join(folder, "secret")
	put(t, path, "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", 0o644)
	put(t, secret, "one", 0o600)
	var out bytes.Buffer
	err := Plan{Files: []File{
		{Path: path, Content: []byte("1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n")},
		{Path: filepath.Join(folder, "new"), Content: []byte("x\n")},
		{Path: secret, Content: []byte("two"), Mask: func([]byte) []byte { return []byte("hidden") }},
	}}.Diff(&out)
	if err != nil {
		t.Fatal(err)
	}
	want := `--- DIR/a
+++ DIR/a
@@ -2,7 +2,7 @@
 2
 3
 4
-5
+five
 6
 7
 8
@@ -10,3 +10,4 @@
 10
 11
 12
+13
--- /dev/null
+++ DIR/new
@@ -0,0 +1,1 @@
+x
DIR/secret: a value changes that is not shown
`
	if diff := cmp.Diff(want, strings.ReplaceAll(out.String(), folder, "DIR")); diff != "" {
		t.Error(diff)
	}
}
