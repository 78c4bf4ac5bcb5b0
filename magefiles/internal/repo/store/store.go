// Package store brings a tree to where it is served: a bucket of object storage, a folder,
// or a host by rsync. What it costs follows what is new: of what is there already, only
// the signed ledger is read.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Store is where a tree is served. Names in it are paths below it, with slashes.
type Store interface {
	fmt.Stringer
	// Lock keeps other runs out until unlock is called, where that can be done.
	Lock(ctx context.Context, log io.Writer) (unlock func(), err error)
	// Read is the content of a file of moderate size, and what tells it from others that
	// the name may have later. The error wraps fs.ErrNotExist where there is none.
	Read(ctx context.Context, name string) (content []byte, mark string, err error)
	// Note notes what is there under names that have other contents later. Put then
	// replaces nothing else.
	Note(ctx context.Context, names []string) error
	// Put puts files in place, as far as it can at once; each by one step. Those that are
	// there already, and are the same, are left alone; done gets the names of all and how
	// many bytes were sent. errOvertaken is the error where somebody else has changed one
	// since it was noted.
	Put(ctx context.Context, files []File, done func(name string, sent int64)) error
	// Replace puts a small file in the place of that which the mark is of; an empty mark is
	// of none. errOvertaken is the error where another one is there.
	Replace(ctx context.Context, file File, mark string) (next string, err error)
	// Exclusive says whether the store keeps two publications apart: whether it refuses to
	// put a file, which is there, where none may be.
	Exclusive(ctx context.Context, file File) (bool, error)
	// Remove removes files. One that is not there is no error.
	Remove(ctx context.Context, names []string) error
}

// errOvertaken is the error where somebody else was faster.
var errOvertaken = errors.New("somebody else has changed it meanwhile")

// File is a file to be put into a store.
type File struct {
	Name   string
	SHA256 string
	Size   int64
	// Unchanging is true of a name that never has another content.
	Unchanging bool

	from    string // its path here; empty where it has content
	content []byte
}

// fileOf is a file of the given content.
func fileOf(name string, content []byte, unchanging bool) File {
	return File{Name: name, SHA256: artifact.DigestBytes(content), Size: int64(len(content)), Unchanging: unchanging, content: content}
}

// body is what a file is read from.
type body interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// open opens the file.
func (f File) open() (body, error) {
	if f.from == "" {
		return closing{bytes.NewReader(f.content)}, nil
	}
	return os.Open(f.from)
}

type closing struct{ *bytes.Reader }

// Close does nothing.
func (closing) Close() error { return nil }

// Caching is what a web host shall say of how long a file may be kept: what never changes
// for a year, and what does only as long as it is asked each time whether it is still the
// same. Otherwise a cache between the two could give repomd.xml of one state and its
// signature of another.
func (f File) Caching() string {
	if f.Unchanging {
		return "public, max-age=31536000, immutable"
	}
	return "public, no-cache"
}

const (
	plain  = "text/plain; charset=utf-8"
	octets = "application/octet-stream"
)

// types are the types of contents, by the ends of names.
var types = map[string]string{
	".deb": "application/vnd.debian.binary-package", ".rpm": "application/x-rpm",
	".gz": "application/gzip", ".xz": "application/x-xz", ".gpg": octets,
	".json": "application/json", ".xml": "application/xml", ".html": "text/html; charset=utf-8",
	".asc": "application/pgp-signature",
	".dsc": plain, ".sources": plain, ".repo": plain, ".pref": plain, ".changes": plain, ".buildinfo": plain,
}

// plainNames are texts without an end.
var plainNames = regexp.MustCompile(`^(In)?Release$|^Packages$|^Sources$|^Contents-[a-z0-9]+$|^SHA256SUMS$|^checkpoint$`)

// Type is the type of the file's content. What has a digest for its name may be packed or
// not: no client asks.
func (f File) Type() string {
	base := path.Base(f.Name)
	if known, ok := types[path.Ext(base)]; ok {
		return known
	}
	if plainNames.MatchString(base) {
		return plain
	}
	if strings.HasPrefix(base, "spire-") && path.Ext(base) == ".asc" {
		return "application/pgp-keys"
	}
	return octets
}

// all is the file's content.
func (f File) all() ([]byte, error) {
	if f.from == "" {
		return f.content, nil
	}
	return os.ReadFile(f.from)
}
