// Package input opens what a command is given: a file, or as - the standard input.
package input

import (
	"io"
	"io/fs"
	"os"
)

// Open opens the named file, or takes standard in the place of -. A secret should be its
// owner's alone: open is the file's mode where others may read it, and 0 where not.
func Open(name string, standard io.Reader) (in io.ReadCloser, open fs.FileMode, err error) {
	if name == "-" {
		return io.NopCloser(standard), 0, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		open = mode
	}
	return file, open, nil
}
