package compile

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// wide is an argument of a variable list that has more than 8 bytes.
var wide = regexp.MustCompile(`\bva_arg\s*\([^,]+,\s*(long\s+double|LONGDOUBLE_TYPE|((un)?signed\s+)?_*u?int128(_t)?)\s*\)`)

// On riscv64, Go calls C with a stack that is aligned to 8 bytes (StackAlign of Go 1.26,
// seen under QEMU), where C takes 16 for granted: va_arg then looks for what is wider than
// 8 bytes in a wrong place, and nothing says so. No C of SPIRE's has such arguments.
func TestNoWideArguments(t *testing.T) {
	for _, line := range []string{"x = va_arg(ap, long double);", "va_arg (*ap,__int128)", "va_arg(ap, LONGDOUBLE_TYPE)", "va_arg(ap, unsigned __int128)"} {
		if !wide.MatchString(line) {
			t.Errorf("%q is not seen", line)
		}
	}
	tree := os.Getenv("SPIRE_TEST_TREE")
	if tree == "" {
		t.Skip("NOT CHECKED: SPIRE_TEST_TREE names no vendored source tree of SPIRE's")
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(tree, "vendor"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".c" && filepath.Ext(path) != ".h" {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if found := wide.Find(content); found != nil {
			t.Errorf("%s has %q", path, found)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files of C, error %v", files, err)
	}
}
