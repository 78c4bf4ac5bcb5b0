package source

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// What could not be packaged is refused before anything is fetched or made.
func TestForkRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		words  []string
	}{
		"a relative folder": {func(t *testing.T, dir string) { replaced(t, dir, "=> ../dependency") },
			[]string{"go.mod:7 replaces " + dependencyPath + " by the folder ../dependency", "replace it by a module with a version"}},
		"an absolute folder": {func(t *testing.T, dir string) { replaced(t, dir, "=> "+t.TempDir()) },
			[]string{"go.mod:7 replaces " + dependencyPath + " by the folder /"}},
		"a folder for one version": {func(t *testing.T, dir string) { replaced(t, dir, "v1.0.0 => ./mine") },
			[]string{"by the folder ./mine"}},
		"a workspace": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "go.work"), "go 1.21\n\nuse .\n") },
			[]string{"go.work makes a workspace of ", "set GOWORK=off"}},
		"a workspace above": {func(t *testing.T, dir string) {
			write(t, filepath.Join(filepath.Dir(dir), "go.work"), "go 1.21\n\nuse ./fork\n")
		},
			[]string{"go.work makes a workspace of "}},
		"a workspace by name": {func(t *testing.T, _ string) { t.Setenv("GOWORK", "/elsewhere/go.work") },
			[]string{"GOWORK=/elsewhere/go.work is set"}},
		"a submodule that is not there": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".gitmodules"), "[submodule \"x\"]\n\tpath = third/x\n\turl = https://example.org/x\n")
		}, []string{"the submodule third/x of ", "git submodule update --init"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			t.Setenv("GOWORK", "")
			dir := filepath.Join(t.TempDir(), "fork")
			if err := os.CopyFS(dir, os.DirFS(w.local())); err != nil {
				t.Fatal(err)
			}
			test.change(t, dir)
			f := w.fetcher()
			refused(t, f, Request{Dir: dir}, test.words...)
			if strings.Contains(log(f), "vendoring") {
				t.Errorf("it was begun: %s", log(f))
			}
		})
	}
}

func replaced(t *testing.T, dir, by string) {
	t.Helper()
	file := filepath.Join(dir, "go.mod")
	write(t, file, read(t, file)+"\nreplace "+dependencyPath+" "+by+"\n")
}

// A fork of a dependency that has a version of its own is right.
func TestForkOfADependency(t *testing.T) {
	w := newWorld(t)
	dir := w.local()
	_, lines := w.Publish(t, "example.org/fork", "v1.2.3", map[string]string{
		"go.mod":  "module " + dependencyPath + "\n\ngo 1.21\n",
		"said.go": "package dependency\n\n// Said is what it says.\nconst Said = \"forked\"\n",
	})
	replaced(t, dir, "=> example.org/fork v1.2.3")
	write(t, filepath.Join(dir, "go.sum"), read(t, dir, "go.sum")+lines)
	tree := fetch(t, w.fetcher(), Request{Dir: dir})
	if got := read(t, tree.Dir, "vendor", dependencyPath, "said.go"); !strings.Contains(got, `Said = "forked"`) {
		t.Errorf("vendored: %q", got)
	}
}

// A clone, or a worktree of one: what git ignores is left out, what is in no
// commit is taken, and said.
func TestGitTrees(t *testing.T) {
	if err := tool.Need("git"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	clone := w.local()
	write(t, filepath.Join(clone, ".gitignore"), "/.build\n")
	write(t, filepath.Join(clone, "deleted.txt"), "x")
	git(t, clone, "init", "-q")
	git(t, clone, "add", ".")
	git(t, clone, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "x")
	worktree := filepath.Join(t.TempDir(), "worktree")
	git(t, clone, "worktree", "add", "-q", worktree)
	for name, dir := range map[string]string{"a clone": clone, "a worktree": worktree} {
		t.Run(name, func(t *testing.T) {
			f := w.fetcher()
			clean := fetch(t, f, Request{Dir: dir})
			if strings.Contains(log(f), "commit") {
				t.Errorf("clean: %s", log(f))
			}
			write(t, filepath.Join(dir, ".build", "go", "VERSION"), "x")
			if again := fetch(t, f, Request{Dir: dir}); again.Hash != clean.Hash || again.Fresh {
				t.Error("what git ignores is taken")
			}
			write(t, filepath.Join(dir, "new.go"), "package main\n")
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "sockets.txt"), "changed\n")
			if err := os.Remove(filepath.Join(dir, "deleted.txt")); err != nil {
				t.Fatal(err)
			}
			tree := fetch(t, f, Request{Dir: dir})
			for _, want := range []string{`source: 2 that git does not know is taken: ["link" "new.go"]`, `source: 1 that is no regular file is left out, as of any Go module: ["link"]`, `source: 2 that differs from the last commit is taken as it is: ["deleted.txt" "sockets.txt"]`} {
				if !strings.Contains(log(f), want) {
					t.Errorf("no %q in: %s", want, log(f))
				}
			}
			if got := read(t, tree.Dir, "sockets.txt"); got != "changed\n" {
				t.Errorf("sockets.txt: %q", got)
			}
			for file, there := range map[string]bool{"new.go": true, "deleted.txt": false, "link": false, ".build": false, ".git": false} {
				if _, err := os.Lstat(filepath.Join(tree.Dir, file)); (err == nil) != there {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.Command("git", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}
