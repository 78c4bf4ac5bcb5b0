package repo

import (
	"bytes"
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

	"golang.org/x/sys/unix"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// path is where something below the root is.
func (r Repository) path(name string) string {
	return filepath.Join(r.Dir, filepath.FromSlash(name))
}

// changed tells a test what was changed.
func (r Repository) changed(what string) error {
	if r.after == nil {
		return nil
	}
	return r.after(what)
}

// folder makes a folder below the root, and those above it, that a web server
// may read whatever the umask is.
func (r Repository) folder(name string) error {
	if name != "." {
		if err := r.folder(path.Dir(name)); err != nil {
			return err
		}
	}
	dir := r.path(name)
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
		return fmt.Errorf("making a folder: %w", artifact.Explain(err, dir))
	}
	return nil
}

// put writes a file, unless it has that content already.
func (r Repository) put(name string, content []byte) error {
	if have, err := os.ReadFile(r.path(name)); err == nil && bytes.Equal(have, content) {
		return r.stamp(r.path(name))
	}
	if err := r.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := artifact.WriteBytes(r.path(name), 0o644, content); err != nil {
		return err
	}
	return errors.Join(r.stamp(r.path(name)), r.changed("wrote "+name))
}

// stamp gives a file the publication's time.
func (r Repository) stamp(file string) error {
	if err := os.Chtimes(file, r.at, r.at); err != nil {
		return fmt.Errorf("setting the time of %s: %w", file, err)
	}
	return nil
}

// putAll writes files, by their paths below the root.
func (r Repository) putAll(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := r.put(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// below is the same files in another folder.
func below(dir string, files map[string][]byte) map[string][]byte {
	moved := map[string][]byte{}
	for name, content := range files {
		moved[path.Join(dir, name)] = content
	}
	return moved
}

func (r Repository) putByHash(b built) error {
	files := map[string][]byte{}
	for name, content := range b.indexes {
		files[byHash(name, artifact.DigestBytes(content))] = content
	}
	return r.putAll(files)
}

func (r Repository) putRelease(b built) error {
	return errors.Join(r.put(dists+"/Release", b.release), r.put(dists+"/Release.gpg", b.signature))
}

func (r Repository) putLedger(b built) error {
	return errors.Join(r.put(ledgerName+".asc", b.pending.Signature), r.put(ledgerName, b.pending.Ledger))
}

// place copies the new files to where the ledger has them, with the records of
// what apt's indexes say of them.
func (r Repository) place(files *batch) error {
	if files == nil {
		return nil // they were there before the plan was written
	}
	for _, it := range files.fresh(func(name) bool { return true }) {
		for _, name := range files.paths(it) {
			if err := r.copy(it, name); err != nil {
				return err
			}
		}
		if it.record == nil {
			continue
		}
		content := encode(it.record)
		if err := r.put(recordPath(artifact.DigestBytes(content)), content); err != nil {
			return err
		}
	}
	return nil
}

// copy puts a new file into the tree. Its time is that of its publication:
// rpm-md's metadata has it.
func (r Repository) copy(it *item, name string) error {
	if err := r.folder(path.Dir(name)); err != nil {
		return err
	}
	to := r.path(name)
	if sum, _, err := artifact.Digest(to); err != nil || sum != it.sha256 {
		if err := artifact.Write(to, 0o644, func(w io.Writer) error { return copyFile(w, it.from) }); err != nil {
			return err
		}
		if sum, _, err := artifact.Digest(to); err != nil || sum != it.sha256 {
			return errors.Join(fmt.Errorf("%s changed while it was copied: publish it again", it.from), err, os.Remove(to))
		}
	}
	return errors.Join(r.stamp(to), r.changed("copied "+name))
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

func (r Repository) putMetadata(b built) error {
	for _, folder := range RPMFolders {
		if err := r.exchange(b.ledger, path.Join(string(inRPM), folder, repodata), b.metadata[folder]); err != nil {
			return err
		}
	}
	return nil
}

// exchange puts a folder of metadata in the place of another, with the earlier
// metadata files that are kept. It is done by one system call, because a client
// needs repomd.xml and its signature, which are two files, of the same state.
// (A signature file with signatures of both states is no way: dnf 4.14 and 4.23
// refuse one whose first signature is bad, zypper 1.14 one in which any is.)
func (r Repository) exchange(l Ledger, dir string, files metadata) error {
	if r.has(dir, files) {
		return nil
	}
	to := r.path(dir)
	old := to + ".tmp-old" // a name that is swept
	err := artifact.MakeDir(old, func(into string) error {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			file := filepath.Join(into, name)
			if err := errors.Join(artifact.WriteBytes(file, 0o644, files[name]), r.stamp(file)); err != nil {
				return err
			}
		}
		return r.linkKept(l, dir, into)
	})
	if err != nil {
		return err
	}
	if err := r.changed("made " + dir); err != nil {
		return err
	}
	if err := swap(old, to); err != nil {
		return fmt.Errorf("exchanging %s: %w", to, err)
	}
	return errors.Join(r.changed("exchanged "+dir), os.RemoveAll(old))
}

// has says whether a folder has all the files.
func (r Repository) has(dir string, files metadata) bool {
	for name, content := range files {
		if have, err := os.ReadFile(r.path(path.Join(dir, name))); err != nil || !bytes.Equal(have, content) {
			return false
		}
	}
	return true
}

// linkKept adds the metadata files of earlier publications that a client may
// still ask for.
func (r Repository) linkKept(l Ledger, dir, into string) error {
	for _, k := range l.Kept {
		if path.Dir(k.Path) != dir {
			continue
		}
		err := os.Link(r.path(k.Path), filepath.Join(into, path.Base(k.Path)))
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

func (r Repository) remove(name string) error {
	if err := os.Remove(r.path(name)); err != nil {
		return err
	}
	return r.changed("removed " + name)
}

// owned are the folders in which everything is the repository's own.
var owned = []string{"apt", "files", recordsName, "rpm"}

// sweep removes what no valid index names, and what a publication left that was
// cut off. Other files in the root are left alone: web hosts want some there.
func (r Repository) sweep(l Ledger) error {
	if err := artifact.Sweep(r.path(".")); err != nil {
		return err
	}
	needed := l.needed()
	for name := range r.Keys {
		needed[name] = true
	}
	for _, dir := range owned {
		if err := r.sweepFolder(dir, needed); err != nil {
			return err
		}
	}
	return nil
}

func (r Repository) sweepFolder(dir string, needed map[string]bool) error {
	entries, err := os.ReadDir(r.path(dir))
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
			err = r.sweepFolder(name, needed)
		case !needed[name]:
			err = errors.Join(os.RemoveAll(r.path(name)), r.changed("removed "+name))
		}
		if err != nil {
			return err
		}
	}
	err = os.Remove(r.path(dir)) // if it is empty
	if errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

// needed are the paths of the owned folders' files that stay.
func (l Ledger) needed() map[string]bool {
	needed := map[string]bool{}
	for _, f := range l.Files {
		needed[f.Path] = true
		needed[recordPath(f.Record)] = true
	}
	for _, g := range l.Tombstones {
		needed[g.Path] = !l.Published.After(g.Until.Add(slack))
	}
	for _, k := range l.Kept {
		needed[k.Path] = true
	}
	for _, name := range fixed() {
		needed[name] = true
	}
	return needed
}

// fixed are the paths of the owned folders' files that always have the same
// name.
func fixed() []string {
	plain := []string{component + "/source/Sources"}
	for _, arch := range debArchs {
		plain = append(plain, component+"/binary-"+arch+"/Packages", component+"/Contents-"+arch)
	}
	names := []string{"InRelease", "Release", "Release.gpg"}
	for _, name := range plain {
		names = append(names, name, name+".gz", name+".xz")
	}
	var paths []string
	for _, name := range names {
		paths = append(paths, path.Join(dists, name))
	}
	for _, folder := range RPMFolders {
		dir := path.Join(string(inRPM), folder, repodata)
		paths = append(paths, path.Join(dir, repomd), path.Join(dir, repomd+".asc"))
	}
	return paths
}
