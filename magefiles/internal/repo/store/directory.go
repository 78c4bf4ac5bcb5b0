package store

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// directory is a folder of this machine, such as a web server's.
type directory struct{ tree.Tree }

// String is its path.
func (d directory) String() string { return d.Dir }

// Lock keeps other runs out.
func (d directory) Lock(ctx context.Context, log io.Writer) (func(), error) {
	return d.Tree.Lock(ctx, log)
}

// Read reads a file; its mark is the SHA-256.
func (d directory) Read(_ context.Context, name string) ([]byte, string, error) {
	file, err := os.Open(d.Path(name))
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	content, err := host.ReadAll(file)
	return content, artifact.DigestBytes(content), err
}

// Note does nothing: nobody else is at work there.
func (d directory) Note(context.Context, []string) error { return nil }

// Put puts files.
func (d directory) Put(ctx context.Context, files []File, done func(string, int64)) error {
	if exchanged, err := d.exchange(files, done); err != nil || exchanged {
		return err
	}
	for _, file := range files {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		sent, err := d.put(file)
		if err != nil {
			return err
		}
		done(file.Name, sent)
	}
	return nil
}

// exchange puts several files that change into a folder without others in it by exchanging
// the folder: a client needs those of the same state.
func (d directory) exchange(files []File, done func(string, int64)) (bool, error) {
	contents, dir := map[string][]byte{}, path.Dir(files[0].Name)
	for _, file := range files {
		if file.Unchanging || path.Dir(file.Name) != dir || len(files) < 2 {
			return false, nil
		}
		content, err := file.all()
		if err != nil {
			return false, err
		}
		contents[path.Base(file.Name)] = content
	}
	entries, err := os.ReadDir(d.Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var others []string
	for _, entry := range entries {
		if entry.IsDir() {
			return false, nil
		}
		others = append(others, path.Join(dir, entry.Name()))
	}
	if err != nil || d.Has(tree.Below(dir, contents)) {
		return err == nil, err
	}
	if err := d.Exchange(dir, contents, others); err != nil {
		return false, err
	}
	for _, file := range files {
		done(file.Name, file.Size)
	}
	return true, nil
}

// put puts one file, and says how many bytes it wrote.
func (d directory) put(f File) (int64, error) {
	if sum, _, err := artifact.Digest(d.Path(f.Name)); err == nil && sum == f.SHA256 {
		return 0, nil
	}
	if f.from == "" {
		return f.Size, d.Tree.Put(f.Name, f.content)
	}
	return f.Size, d.Copy(f.Name, f.from, f.SHA256)
}

// Replace puts a file in the place of another one.
func (d directory) Replace(ctx context.Context, f File, mark string) (string, error) {
	_, there, err := d.Read(ctx, f.Name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err == nil && there != mark || err != nil && mark != "" {
		return "", errOvertaken
	}
	_, err = d.put(f)
	return f.SHA256, err
}

// Exclusive is true: it is locked.
func (d directory) Exclusive(context.Context, File) (bool, error) { return true, nil }

// Remove removes files.
func (d directory) Remove(_ context.Context, names []string) error {
	for _, name := range names {
		if err := d.Tree.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(d.Path(path.Dir(name))) // fails unless it is empty
	}
	return nil
}
