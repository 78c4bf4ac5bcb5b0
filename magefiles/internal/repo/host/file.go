package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

const (
	// Limit bounds, in bytes, the files whose size nothing says: ledgers, records, index
	// files. It is far above any of them.
	Limit = 64 << 20
	// Width is how many files are fetched side by side.
	Width = 8
)

// File is a file that is known before it comes.
type File struct {
	Path   string // below the host's address
	SHA256 string // empty where nothing tells it
	Size   int64  // bytes, at most
}

// Copy writes what comes, no more than it may be, and compares it. It gives the bytes
// that it wrote.
func (f File) Copy(to io.Writer, body io.Reader) (int64, error) {
	sum, n, err := web.Copy(to, body, f.Size)
	switch {
	case err != nil:
		return n, fmt.Errorf("after %d bytes: %w", n, err)
	case n > f.Size:
		return n, fmt.Errorf("it has more than %d bytes", f.Size)
	case f.SHA256 != "" && sum != f.SHA256:
		return n, fmt.Errorf("checksum mismatch: it has %d bytes with the SHA-256 %s, and %s was published", n, sum, f.SHA256)
	}
	return n, nil
}

// Files are the contents of several files, by their paths.
func (h Host) Files(ctx context.Context, files []File) (map[string][]byte, error) {
	contents := make([]bytes.Buffer, len(files))
	err := Each(len(files), func(i int) error {
		return h.Get(ctx, files[i].Path, func(body io.Reader) error {
			contents[i].Reset()
			_, err := files[i].Copy(&contents[i], body)
			return err
		})
	})
	found := map[string][]byte{}
	for i, file := range files {
		found[file.Path] = contents[i].Bytes()
	}
	return found, err
}

// Read is the content of a small file. Nothing verifies it.
func (h Host) Read(ctx context.Context, name string) (content []byte, err error) {
	err = h.Get(ctx, name, func(body io.Reader) (err error) {
		content, err = ReadAll(body)
		return err
	})
	return content, err
}

// Signed gives take a small file and its signature beside it, or why that cannot be
// had. Both are read anew where they do not fit, which take says: the host may just be
// changing them.
func (h Host) Signed(ctx context.Context, name string, take func(content, signature []byte, err error) error) error {
	return h.Get(ctx, name, func(body io.Reader) error {
		content, err := ReadAll(body)
		if err != nil {
			return err
		}
		signature, err := h.Read(ctx, name+artifact.Signature)
		return take(content, signature, err)
	})
}

// ReadAll is all of a content that is no larger than Limit.
func ReadAll(body io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(body, Limit+1))
	if err == nil && len(content) > Limit {
		err = fmt.Errorf("it has more than %d bytes", Limit)
	}
	return content, err
}

// Each does something for each number below n, several at once, and joins what goes
// wrong.
func Each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group errgroup.Group
	group.SetLimit(Width)
	for i := range n {
		group.Go(func() error {
			errs[i] = do(i)
			return nil
		})
	}
	_ = group.Wait() // it is in errs
	return errors.Join(errs...)
}
