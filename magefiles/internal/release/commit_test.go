package release

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		who := []string{"-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"}
		must(t, run.New("git", append(who, args...)...).In(dir).Run(t.Context()))
	}
	if _, err := Commit(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "made of a commit") {
		t.Errorf("no repository: %v", err)
	}
	git("init", "-q")
	must(t, os.WriteFile(filepath.Join(dir, "a"), []byte("a"), 0o644))
	git("add", "a")
	git("commit", "-q", "-m", "a")
	if commit, err := Commit(t.Context(), dir); err != nil || !commitForm.MatchString(commit) {
		t.Errorf("%q, %v", commit, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "b"), []byte("b"), 0o644))
	if commit, err := Commit(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "?? b") {
		t.Errorf("%q, %v", commit, err)
	}
}
