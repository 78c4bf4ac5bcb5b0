package contents

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is installed gzipped is in the source package as it is.
func TestWriteZipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.1.gz")
	if err := writeZipped(t.Context(), path, []byte("text\n")); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(strings.TrimSuffix(path, ".gz"))
	if err != nil || string(plain) != "text\n" {
		t.Errorf("%q, error %v", plain, err)
	}
	zipped, err := os.ReadFile(path)
	// gzip -9n: deflate, no name, no time, best compression, Unix.
	if err != nil || !strings.HasPrefix(string(zipped), "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03") {
		t.Errorf("%x, error %v", zipped, err)
	}
}
