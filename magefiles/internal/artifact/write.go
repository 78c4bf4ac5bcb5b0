package artifact

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// temporary is in the name of every file and folder that is not whole yet. A
// killed run leaves some behind; Sweep removes them.
const temporary = ".tmp-"

// Write makes the file at path from what fill writes, with the given mode
// whatever the umask. The file gets its name only when it is whole; on any
// error nothing is left and an older file stays as it was.
func Write(path string, mode fs.FileMode, fill func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, Explain(err, path))
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+temporary)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, Explain(err, path))
	}
	err = errors.Join(fill(file), file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("writing %s: %w", path, Explain(err, path))
	}
	return nil
}

// WriteBytes is Write with content that is there already.
func WriteBytes(path string, mode fs.FileMode, content []byte) error {
	return Write(path, mode, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Link gives a file another name or, where that is on another file system, such as a
// /tmp in memory, copies it.
func Link(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return Copy(from, to, info.Mode().Perm())
}

// Copy is Write with the content of another file.
func Copy(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return Write(to, mode, func(w io.Writer) error {
		_, err := io.Copy(w, source)
		return err
	})
}

// MakeDir makes the folder at path from what fill puts into the folder it is
// given. The folder gets its name, in place of an older one, only when fill
// succeeds.
func MakeDir(path string, fill func(dir string) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making %s: %w", path, Explain(err, path))
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+temporary)
	if err != nil {
		return fmt.Errorf("making %s: %w", path, Explain(err, path))
	}
	defer os.RemoveAll(dir) // renamed by then, unless something failed
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", path, err)
	}
	if err := fill(dir); err != nil {
		return Explain(err, path)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("replacing %s: %w", path, err)
	}
	return os.Rename(dir, path)
}

// Sweep removes what killed runs left unfinished in dir and the folders
// directly below it. The caller holds the lock, so that nobody is still
// writing there.
func Sweep(dir string) error {
	for _, pattern := range []string{"*", "*/*"} {
		left, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return fmt.Errorf("looking for unfinished files in %s: %w", dir, err)
		}
		for _, path := range left {
			if !strings.Contains(filepath.Base(path), temporary) {
				continue
			}
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("removing what a killed run left: %w", err)
			}
		}
	}
	return nil
}

// Explain adds to an error what to do about it, where the cause is the disk.
func Explain(err error, path string) error {
	// Programs that were run say it in words only.
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || err != nil && strings.Contains(err.Error(), "no space left on device") {
		return fmt.Errorf("%w (make room on the disk that holds %s: a build of one version and architecture needs about 3 GB with its caches; then run the same command again)", err, filepath.Dir(path))
	}
	return err
}

// Gzip packs a content as small as gzip can, with neither a name nor a time in it:
// Debian's policy asks for it.
func Gzip(content []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = errors.Join(err, w.Close())
	return packed.Bytes(), err
}

// Digest is the SHA-256 of a file's content in lower-case hexadecimal, and its
// size in bytes.
func Digest(path string) (sum string, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	if err != nil {
		return "", 0, fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// Key names a step's inputs: the SHA-256, in hexadecimal, of their JSON.
func Key(parts ...any) string {
	content, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("inputs that have no JSON form: %v", err)) // a programmer's slip, found by any test
	}
	return DigestBytes(content)
}

// DigestBytes is the SHA-256 of content in lower-case hexadecimal.
func DigestBytes(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
