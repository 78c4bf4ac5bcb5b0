// Package tarball writes folders as tar archives that depend on nothing but
// the files' names and contents: one owner, one time, two modes, one order.
package tarball

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// Writer writes one archive.
type Writer struct {
	archive *tar.Writer
	time    time.Time
	dirs    map[string]bool
}

// New is a Writer to w in which every file has the given time. The caller
// closes it.
func New(w io.Writer, at time.Time) *Writer {
	return &Writer{archive: tar.NewWriter(w), time: at.UTC().Truncate(time.Second), dirs: map[string]bool{".": true}}
}

// Close writes the end of the archive.
func (w *Writer) Close() error { return w.archive.Close() }

// Bytes adds a file. Its parents are added before it, once each. Of the mode
// only the bit counts that lets programs run.
func (w *Writer) Bytes(name string, mode fs.FileMode, content []byte) error {
	if err := w.begin(name, mode, int64(len(content))); err != nil {
		return err
	}
	_, err := w.archive.Write(content)
	return err
}

// File adds the file at from.
func (w *Writer) File(name, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("archiving: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("archiving: %w", err)
	}
	if err := w.begin(name, info.Mode(), info.Size()); err != nil {
		return err
	}
	if _, err := io.Copy(w.archive, file); err != nil {
		return fmt.Errorf("archiving %s: %w", from, err)
	}
	return nil
}

// Tree adds all files below dir under the name prefix, in the order of fs.WalkDir.
// What is neither a file nor a folder is an error: a link would be another
// file on another machine.
func (w *Writer) Tree(prefix, dir string) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("archiving %s: it is neither a file nor a folder", file)
		}
		relative, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return w.File(path.Join(prefix, filepath.ToSlash(relative)), file)
	})
}

// begin writes a file's header, after those of its parents.
func (w *Writer) begin(name string, mode fs.FileMode, size int64) error {
	if !fs.ValidPath(name) || name == "." {
		return fmt.Errorf("archiving: %q is not a plain path", name)
	}
	if err := w.parents(path.Dir(name)); err != nil {
		return err
	}
	bits := int64(0o644)
	if mode&0o111 != 0 {
		bits = 0o755
	}
	return w.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: bits, Size: size})
}

func (w *Writer) parents(dir string) error {
	var missing []string
	for ; !w.dirs[dir]; dir = path.Dir(dir) {
		w.dirs[dir] = true
		missing = append(missing, dir)
	}
	var errs []error
	for _, dir := range slices.Backward(missing) {
		errs = append(errs, w.header(tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}))
	}
	return errors.Join(errs...)
}

// header writes in GNU's form, which every tar reads.
func (w *Writer) header(h tar.Header) error {
	h.Uname, h.Gname, h.ModTime, h.Format = "root", "root", w.time, tar.FormatGNU
	if err := w.archive.WriteHeader(&h); err != nil {
		return fmt.Errorf("archiving %s: %w", h.Name, err)
	}
	return nil
}
