package publication

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPrintSize(t *testing.T) {
	dir := t.TempDir()
	for size, want := range map[int64][]string{1_500_000: {" has 1.5 MB\n"}, 1_000_000_001: {" has 1000.0 MB\n", "WARNING: GitHub Pages takes sites of up to 1 GB"}} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o600), os.Truncate(filepath.Join(dir, "file"), size)); err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := PrintSize(&text, dir); err != nil {
			t.Fatal(err)
		}
		has := func(part string) bool { return strings.Contains(text.String(), part) }
		if slices.ContainsFunc(want, func(part string) bool { return !has(part) }) || has("WARNING") != (len(want) > 1) {
			t.Errorf("%d bytes: %s", size, &text)
		}
	}
}
