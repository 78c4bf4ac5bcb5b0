package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Names in the tree's root.
const (
	ledgerName = "ledger.json"
	// pendingName is the ledger of a publication that is not done yet.
	pendingName = "ledger.pending"
	recordsName = "ledger"
)

// Ledger is what the repository knows of itself: everything that its indexes
// are made of, but for the records beside it. It is signed, so that whoever can
// write to the web host cannot have an index of theirs signed by the next
// publication.
type Ledger struct {
	Published time.Time // the Date of the apt indexes, in whole seconds of UTC
	Until     time.Time // their Valid-Until: apt refuses them after it
	Files     []File    // all that is offered, in order of path
	// Tombstones are files that were published once, in order of path. They are
	// remembered for ever: their names are taken.
	Tombstones []Tombstone
	// Kept are the present and earlier index files under the names that do not
	// change, in order of path.
	Kept []Kept
}

// File is one published file.
type File struct {
	Path    string // below the repository's root, with slashes
	SHA256  string // 64 lower-case hex digits
	Size    int64  // bytes
	Kind    Kind
	Package string // of a file that is of no single package, the source
	Source  string // name of the source that it is of, such as spire
	Arch    string // as the format calls it, such as amd64 or noarch; empty for a source
	Version string // MAJOR.MINOR.PATCH; of a keyring package the day, such as 2026.11.24
	// Release is the packaging's, from 1. It is 0 for upstream's archives, which
	// all releases of a version have in common.
	Release   int
	Published time.Time // when it was first in an index, in whole seconds of UTC
	// Record is the SHA-256 of the record of what apt's indexes say of the file;
	// empty if they say nothing.
	Record string `json:",omitempty"`
}

// Tombstone is a file that no index names any more.
type Tombstone struct {
	Path      string
	SHA256    string
	Size      int64     // bytes
	Published time.Time // as of a File
	Until     time.Time // the end of the last index that named it
}

// Kept is an index file that an index which is still valid may name.
type Kept struct {
	Path  string
	Until time.Time // the end of the last index that names it
}

// Name is the file's base name.
func (f File) Name() string { return path.Base(f.Path) }

// key is what must not be taken twice: the name alone, since a file's name says
// where it is. Each version has checksums under the same name.
func key(file string) string {
	if base := path.Base(file); !strings.HasPrefix(base, "SHA256SUMS") {
		return base
	}
	return file
}

// Load reads the ledger of the repository in dir and verifies its signature.
// The error wraps fs.ErrNotExist where nothing was published yet.
func Load(dir string, trusted Trusted) (Ledger, error) {
	l, _, err := load(dir, trusted)
	return l, err
}

// load reads the ledger; pending is true if its publication was cut off.
func load(dir string, trusted Trusted) (l Ledger, pending bool, err error) {
	signed, pending, err := readSigned(dir)
	if err != nil {
		return Ledger{}, false, fmt.Errorf("reading the repository's ledger: %w", err)
	}
	if err := trusted.Detached(bytes.NewReader(signed.Ledger), signed.Signature); err != nil {
		return Ledger{}, false, fmt.Errorf("the ledger of %s is not what was published: %w (put an earlier copy of the whole folder in its place, or publish all versions again into an empty one)", dir, err)
	}
	if err := json.Unmarshal(signed.Ledger, &l); err != nil {
		return Ledger{}, false, fmt.Errorf("reading the repository's ledger: %w", err)
	}
	return l, pending, nil
}

// signedLedger is a ledger with its signature: the content of the pending
// file, which has to be one file so that the two cannot part.
type signedLedger struct{ Ledger, Signature []byte }

func readSigned(dir string) (s signedLedger, pending bool, err error) {
	content, err := os.ReadFile(filepath.Join(dir, pendingName))
	if err == nil {
		return s, true, json.Unmarshal(content, &s)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	if s.Ledger, err = os.ReadFile(filepath.Join(dir, ledgerName)); err == nil {
		s.Signature, err = os.ReadFile(filepath.Join(dir, ledgerName+".asc"))
	}
	return s, false, err
}

// encode is the value as JSON that people can read too. The same value gives
// the same bytes.
func encode(value any) []byte {
	content, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		panic(fmt.Sprintf("a value without a JSON form: %v", err)) // a programmer's slip, found by any test
	}
	return append(content, '\n')
}

// record is what apt's indexes say of one file. Each has a file of its own:
// together they are as large as the indexes, and of a new version only its own
// are written.
type record struct {
	Stanza string   // of Packages or Sources, without the empty line after it
	Files  []string `json:",omitempty"` // what a deb installs, for Contents
}

// recordPath is the place of a record, below the root.
func recordPath(digest string) string { return path.Join(recordsName, digest+".json") }

// record reads what apt's indexes say of a file.
func (r Repository) record(f File) (record, error) {
	content, err := os.ReadFile(r.path(recordPath(f.Record)))
	if err != nil {
		return record{}, fmt.Errorf("reading the record of %s: %w", f.Path, err)
	}
	if got := artifact.DigestBytes(content); got != f.Record {
		return record{}, fmt.Errorf("checksum mismatch: the record of %s is not what was published (its SHA-256 is %s, not %s): put an earlier copy of the folder in its place", f.Path, got, f.Record)
	}
	var found record
	if err := json.Unmarshal(content, &found); err != nil {
		return record{}, fmt.Errorf("reading the record of %s: %w", f.Path, err)
	}
	return found, nil
}

// taken are the digests of all files that were ever published, by key.
func (l Ledger) taken() map[string]string {
	digests := map[string]string{}
	for _, f := range l.Files {
		digests[key(f.Path)] = f.SHA256
	}
	for _, g := range l.Tombstones {
		digests[key(g.Path)] = g.SHA256
	}
	return digests
}

// find are the offered files with the given key: one, or one for each place.
func (l Ledger) find(key string) []File { return l.where(func(f File) bool { return keyOf(f) == key }) }

func keyOf(f File) string { return key(f.Path) }

func (l Ledger) where(is func(File) bool) []File {
	var found []File
	for _, f := range l.Files {
		if is(f) {
			found = append(found, f)
		}
	}
	return found
}
