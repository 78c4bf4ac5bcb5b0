package artifact

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/sync/errgroup"
)

// HashTree is the h1 hash of a folder as golang.org/x/mod/sumdb/dirhash
// defines it: over the names, below prefix, and contents of its files, not
// over their modes and times. Unlike dirhash's own HashDir it reads several
// files at once.
func HashTree(dir, prefix string) (string, error) {
	files, err := dirhash.DirFiles(dir, "")
	if err != nil {
		return "", fmt.Errorf("listing %s: %w", dir, err)
	}
	return HashFiles(dir, prefix, files)
}

// HashFiles is HashTree over the named files of the folder alone.
func HashFiles(dir, prefix string, files []string) (string, error) {
	lines := make([]string, len(files))
	var group errgroup.Group
	group.SetLimit(2 * runtime.NumCPU()) // reading waits more than it works
	for i, file := range files {
		group.Go(func() error {
			sum, _, err := Digest(filepath.Join(dir, file))
			lines[i] = sum + "  " + filepath.ToSlash(filepath.Join(prefix, file)) + "\n"
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", fmt.Errorf("hashing %s: %w", dir, err)
	}
	return summary(lines), nil
}

// summary is dirhash's Hash1 of lines "SHA-256  name", in order of name.
func summary(lines []string) string {
	const name = sha256.Size*2 + 2
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[name:], b[name:]) })
	hash := sha256.New()
	for _, line := range lines {
		hash.Write([]byte(line))
	}
	return "h1:" + base64.StdEncoding.EncodeToString(hash.Sum(nil))
}

// Check makes sure that a tree still has the content that it had when it was
// verified.
func (t Tree) Check() error {
	if t.Fresh {
		return nil
	}
	hash, err := HashTree(t.Dir, "")
	if err != nil {
		return err
	}
	if hash != t.Hash {
		return fmt.Errorf("checksum mismatch: the source tree %s is not what was verified (hash %s, not %s): remove it and run again", t.Dir, hash, t.Hash)
	}
	return nil
}
