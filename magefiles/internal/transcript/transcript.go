// Package transcript keeps what scripts say in a file, and reads their verdict from it.
package transcript

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// SkipCode is what a scenario's script exits with, after a line "SKIP: reason",
// that cannot run at its place. (It is automake's.)
const SkipCode = 77

// File is a folder's output.txt, which hands on each line when it is whole.
type File struct {
	read func(line string)

	mu      sync.Mutex // standard output and standard error write at once
	file    *os.File
	partial string // a line whose end has not come yet
}

// Open starts a new folder, in which nothing of an earlier run is left.
func Open(dir string, read func(line string)) (*File, error) {
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
	if err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(dir, "output.txt"))
	return &File{read: read, file: file}, err
}

// Write keeps the text and hands on the lines that it completes.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := strings.Split(f.partial+string(p), "\n")
	for _, line := range lines[:len(lines)-1] {
		f.read(line)
	}
	f.partial = lines[len(lines)-1]
	return f.file.Write(p)
}

// Close hands on a last line that has no end. That the file lacks its end is no failure
// of what it is about.
func (f *File) Close() {
	f.read(f.partial)
	_ = f.file.Close()
}
