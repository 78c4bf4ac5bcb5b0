package lint

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// toSecrets is a command that makes a file with secrets in it, or the start of
// one: what is before it on the same command line counts.
var toSecrets = regexp.MustCompile(`(?m)^.*>+ *\S*(\.env|/env|token)\b.*$`)

// TestSecretsAreWrittenClosed: no text tells anybody to write a secret into a file
// that others can read, whatever the umask.
func TestSecretsAreWrittenClosed(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range texts(t) {
		// Lines that a backslash, a pipe or an open bracket continue are one.
		content := regexp.MustCompile(`(\\|\|)\n\s*`).ReplaceAllString(suitetest.Text(t, path), " ")
		for _, line := range toSecrets.FindAllString(content, -1) {
			found++
			if !strings.Contains(line, "(umask 077; ") && !strings.Contains(line, "(umask 077 && ") {
				t.Errorf("%s: %s", path, strings.TrimSpace(line))
			}
		}
		if strings.Contains(content, "-joinToken ") || strings.Contains(content, "-joinToken\"") {
			t.Errorf("%s has a token as an argument, which everybody can read", path)
		}
	}
	if found < 4 {
		t.Errorf("found only %d places that write a secret", found)
	}
}

// texts are those that people or systemd follow.
func texts(t *testing.T) []string {
	t.Helper()
	paths := []string{"README.md"}
	for _, dir := range []string{"packages", "units"} {
		err := filepath.WalkDir(filepath.Join(suitetest.Root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				relative, _ := filepath.Rel(suitetest.Root, path)
				paths = append(paths, relative)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	return paths
}

// A drop-in that lets the agent look into other processes says what that comes to:
// with it, a process of root's was read by /proc/PID/mem.
func TestDropInSaysWhatItWeakens(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range texts(t) {
		content := suitetest.Text(t, path)
		if !strings.Contains(path, "/drop-ins/") || !regexp.MustCompile(`(?m)^[A-Za-z]+=.*CAP_(SYS_PTRACE|DAC_READ_SEARCH)`).MatchString(content) {
			continue
		}
		found++
		words := strings.Join(strings.Fields(strings.ReplaceAll(content, "\n#", " ")), " ")
		if want := "the agent can read every file and, by /proc/PID/mem, the memory of every process of this host, keys included"; !strings.Contains(words, want) {
			t.Errorf("%s does not say that %s", path, want)
		}
	}
	if found == 0 {
		t.Error("no drop-in has such a capability")
	}
}
