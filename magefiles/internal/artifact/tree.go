package artifact

import (
	"fmt"

	"golang.org/x/mod/sumdb/dirhash"
)

// HashTree is the golang.org/x/mod dirhash (h1) of a folder: of the names and
// contents of its files, not of their modes and times.
func HashTree(dir string) (string, error) {
	hash, err := dirhash.HashDir(dir, "", dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hashing the source tree: %w", err)
	}
	return hash, nil
}

// Check makes sure that a tree still has the content that it had when it was
// verified.
func (t Tree) Check() error {
	hash, err := HashTree(t.Dir)
	if err != nil {
		return err
	}
	if hash != t.Hash {
		return fmt.Errorf("the source tree %s is not what was verified (hash %s, not %s): remove it and run again", t.Dir, hash, t.Hash)
	}
	return nil
}
