// Package tree writes a folder of files that a web host serves: each file by one
// rename, readable for all, and with the time that it is told.
package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Tree is a folder of files. Names in it are paths below it, with slashes.
type Tree struct {
	Dir string
	// At is the time that files get which are written: that of the publication. A
	// client asks for what is newer than what it has, in whole seconds, and real
	// times could be equal.
	At time.Time
	// After is called after each change, and stops it with its error, as if the
	// program had been killed; nil outside of tests.
	After func(change string) error
}

// Path is where a file is.
func (t Tree) Path(name string) string { return filepath.Join(t.Dir, filepath.FromSlash(name)) }

// Read is the content of a file.
func (t Tree) Read(name string) ([]byte, error) { return os.ReadFile(t.Path(name)) }

// Lock keeps other runs out of the tree until unlock is called. It says on log whom
// it waits for.
func (t Tree) Lock(ctx context.Context, log io.Writer) (unlock func(), err error) {
	// Beside the tree and not in it: the tree is for the public.
	work := artifact.Dist(filepath.Dir(t.Path("."))).Work(filepath.Base(t.Path(".")))
	return artifact.Dist(work).Lock(ctx, log)
}

// changed tells a test what was changed.
func (t Tree) changed(what string) error {
	if t.After == nil {
		return nil
	}
	return t.After(what)
}

// Wrote gives a file that was written the time of the publication. how is a verb in
// the past.
func (t Tree) Wrote(how, name string) error {
	return errors.Join(t.stamp(t.Path(name)), t.changed(how+" "+name))
}

func (t Tree) stamp(file string) error {
	if err := os.Chtimes(file, t.At, t.At); err != nil {
		return fmt.Errorf("setting the time of %s: %w", file, err)
	}
	return nil
}

// Folder makes a folder, and those above it, that a web server may read whatever the
// umask is.
func (t Tree) Folder(name string) error {
	if name != "." {
		if err := t.Folder(path.Dir(name)); err != nil {
			return err
		}
	}
	dir := t.Path(name)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		return fmt.Errorf("making a folder: %w", artifact.Explain(err, dir))
	}
	return nil
}

// Put writes a file, unless it has that content already.
func (t Tree) Put(name string, content []byte) error {
	if t.has(name, content) {
		return t.stamp(t.Path(name))
	}
	if err := t.Folder(path.Dir(name)); err != nil {
		return err
	}
	if err := artifact.WriteBytes(t.Path(name), 0o644, content); err != nil {
		return err
	}
	return t.Wrote("wrote", name)
}

// has says whether a file has the content.
func (t Tree) has(name string, content []byte) bool {
	have, err := os.ReadFile(t.Path(name))
	return err == nil && bytes.Equal(have, content)
}

// Has says whether the tree has all the files.
func (t Tree) Has(files map[string][]byte) bool {
	for name, content := range files {
		if !t.has(name, content) {
			return false
		}
	}
	return true
}

// PutAll writes files, in order of name.
func (t Tree) PutAll(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.Put(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// Copy puts the file at the path from into the tree, whose SHA-256 is known.
func (t Tree) Copy(name, from, sha256 string) error {
	if err := t.Folder(path.Dir(name)); err != nil {
		return err
	}
	to := t.Path(name)
	if sum, _, err := artifact.Digest(to); err != nil || sum != sha256 {
		if err := artifact.Write(to, 0o644, func(w io.Writer) error { return copyFile(w, from) }); err != nil {
			return err
		}
		if sum, _, err := artifact.Digest(to); err != nil || sum != sha256 {
			return errors.Join(fmt.Errorf("%s changed while it was copied: publish it again", from), err, os.Remove(to))
		}
	}
	return t.Wrote("copied", name)
}

func copyFile(w io.Writer, from string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

// Exchange puts a folder of files, by their names in it, in the place of another, with
// those of the earlier files that are kept. It is done by one system call, for files
// that a client needs of the same state.
func (t Tree) Exchange(dir string, files map[string][]byte, kept []string) error {
	if t.Has(Below(dir, files)) {
		return nil
	}
	to := t.Path(dir)
	old := to + ".tmp-old" // a name that is swept
	err := artifact.MakeDir(old, func(into string) error {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			file := filepath.Join(into, name)
			if err := errors.Join(artifact.WriteBytes(file, 0o644, files[name]), t.stamp(file)); err != nil {
				return err
			}
		}
		return t.linkKept(kept, into)
	})
	if err != nil {
		return err
	}
	if err := t.changed("made " + dir); err != nil {
		return err
	}
	if err := swap(old, to); err != nil {
		return fmt.Errorf("exchanging %s: %w", to, err)
	}
	return errors.Join(t.changed("exchanged "+dir), os.RemoveAll(old))
}

// Below is the same files in a folder.
func Below(dir string, files map[string][]byte) map[string][]byte {
	moved := map[string][]byte{}
	for name, content := range files {
		moved[path.Join(dir, name)] = content
	}
	return moved
}

// linkKept adds files of earlier publications.
func (t Tree) linkKept(kept []string, into string) error {
	for _, name := range kept {
		err := os.Link(t.Path(name), filepath.Join(into, path.Base(name)))
		// It is new and there by now, or an earlier publication was cut off before
		// it was put there: nobody has seen it.
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// swap exchanges two folders, or gives the first the other's name where there
// is none yet.
func swap(from, to string) error {
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(from, to)
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("%w: the file system cannot exchange two folders at once; use one that can, such as ext4, XFS, Btrfs or tmpfs", err)
	}
	return err
}

// Remove removes a file.
func (t Tree) Remove(name string) error {
	if err := os.Remove(t.Path(name)); err != nil {
		return err
	}
	return t.changed("removed " + name)
}

// Sweep removes what is not needed from folders, and what a publication left that was
// cut off. Other files are left alone: web hosts want some there.
func (t Tree) Sweep(folders []string, needed map[string]bool) error {
	if err := artifact.Sweep(t.Path(".")); err != nil {
		return err
	}
	for _, dir := range folders {
		if err := t.sweepFolder(dir, needed); err != nil {
			return err
		}
	}
	return nil
}

func (t Tree) sweepFolder(dir string, needed map[string]bool) error {
	entries, err := os.ReadDir(t.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case entry.IsDir() && !strings.Contains(entry.Name(), ".tmp-"):
			err = t.sweepFolder(name, needed)
		case !needed[name]:
			err = errors.Join(os.RemoveAll(t.Path(name)), t.changed("removed "+name))
		}
		if err != nil {
			return err
		}
	}
	err = os.Remove(t.Path(dir)) // if it is empty
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}
