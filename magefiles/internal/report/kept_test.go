package report

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKept(t *testing.T) {
	var long strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	for name, test := range map[string]struct {
		log         string
		first, last string
		lines       int
	}{
		"short":         {"one\ntwo\n", "one", "two", 2},
		"long":          {long.String(), "line 99975", "line 99999", tailLines},
		"one long line": {strings.Repeat("x", 1<<20), strings.Repeat("x", tailBytes), strings.Repeat("x", tailBytes), 1},
		"wide lines":    {strings.Repeat(strings.Repeat("y", 2999)+"\n", 100), strings.Repeat("y", 2999), strings.Repeat("y", 2999), 2},
		"empty":         {"", "", "", 1},
		"coloured":      {"\x1b[1;31mFAIL\x1b[0m: red\r\n", "FAIL: red", "FAIL: red", 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, filepath.Join(dir, "p", "s", "output.txt"), test.log)
			save(t, filepath.Join(dir, "p", "s", "journal.txt"), "")
			save(t, filepath.Join(dir, "p", "s", "deeper", "x"), "")
			k := keptOf(opened(t, dir), "p/s/output.txt")
			lines := strings.Split(k.Tail, "\n")
			if len(lines) != test.lines || lines[0] != test.first || lines[len(lines)-1] != test.last {
				t.Errorf("%d lines, from %.40q to %.40q", len(lines), lines[0], lines[len(lines)-1])
			}
			if want := []string{"p/s/output.txt", "p/s/journal.txt"}; !slices.Equal(k.Files, want) {
				t.Errorf("files are %q, want %q", k.Files, want)
			}
		})
	}
}

// A report without a log is better than none; one with a file from elsewhere
// on the machine is not.
func TestKeptOfNoLog(t *testing.T) {
	dir := t.TempDir()
	save(t, filepath.Join(dir, "secret"), "a secret")
	if err := os.Mkdir(filepath.Join(dir, "report"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "report", "output.txt")); err != nil {
		t.Fatal(err)
	}
	for log, want := range map[string]string{
		"absent/output.txt": "no log: openat absent/output.txt: no such file or directory",
		"output.txt":        "no log: openat output.txt: path escapes from parent",
	} {
		k := keptOf(opened(t, filepath.Join(dir, "report")), log)
		if k.Tail != want || len(k.Files) > 0 {
			t.Errorf("%s: %q", log, k)
		}
	}
}

func opened(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}
