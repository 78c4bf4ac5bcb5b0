package suite

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// earlierTar is a variable of the environment: a file, by which what test:earlier
// built travels to machines that only test. As one tar, because a workflow's artifacts
// keep neither modes nor hidden files.
const earlierTar = "SPIRE_EARLIER"

// earlierDist is where versions to upgrade from are built, beside what is built for
// its own sake.
func (s Suite) earlierDist() artifact.Dist {
	return artifact.Dist(filepath.Join(string(s.Pipeline.Dist), ".earlier"))
}

// pack makes a tar of a folder.
func pack(dir, file string) error {
	err := artifact.Write(file, 0o644, func(w io.Writer) error {
		packed := tar.NewWriter(w)
		return errors.Join(packed.AddFS(os.DirFS(dir)), packed.Close())
	})
	if err != nil {
		return fmt.Errorf("packing %s: %w", dir, err)
	}
	return nil
}

// unpack makes the folder again, in place of one that is there.
func unpack(file, dir string) error {
	from, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("unpacking what was built elsewhere: %w", err)
	}
	defer from.Close()
	err = artifact.MakeDir(dir, func(dir string) error {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return err
		}
		defer root.Close() //nolint:errcheck // nothing is written by it
		packed := tar.NewReader(from)
		for {
			header, err := packed.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = put(root, header, packed)
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", file, err)
	}
	return nil
}

// put makes one file, folder or link. Nothing can be put outside of the root.
func put(root *os.Root, header *tar.Header, content io.Reader) error {
	name, mode := filepath.Clean(header.Name), header.FileInfo().Mode()
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, mode.Perm()|0o700)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode.Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content) //nolint:gosec // what a job of ours packed
		return errors.Join(err, file.Chmod(mode.Perm()), file.Close())
	}
	return fmt.Errorf("%s is neither a file, a folder nor a link", header.Name)
}
