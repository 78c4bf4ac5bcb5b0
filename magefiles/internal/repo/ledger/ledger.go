// Package ledger has what a repository knows of itself: which files are published, which
// were, and until when each stays.
package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Names in the tree's root.
const (
	Name          = "ledger.json"
	SignatureName = Name + artifact.Signature // armoured
	// PendingName is the ledger of a publication that is not done yet.
	PendingName = "ledger.pending"
	// Records is the folder of the records.
	Records = "ledger"
)

// Verifier verifies by the keys that clients shall trust.
type Verifier interface {
	// Detached verifies a signature, binary or armoured, of all of content.
	Detached(content io.Reader, signature []byte) error
}

// Kind is what a published file is to a reader.
type Kind string

// The kinds of files, beside packages, whose kind is the name of their format. A
// Source is any of the files that source packages are made of; a Record is a .changes,
// a .buildinfo or a build.json.
const (
	Source     Kind = "source"
	SBOM       Kind = "sbom"
	Provenance Kind = "provenance"
	Record     Kind = "record"
	Sums       Kind = "sums"
	Signature  Kind = "signature"
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
	// Record is the SHA-256 of the record of what an index says of the file; empty
	// where no index needs one.
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

// Revision is what the file is of.
func (f File) Revision() Revision { return Revision{f.Source, f.Version, f.Release} }

// Compare is the order of the ledger: by path.
func (f File) Compare(other File) int { return cmp.Compare(f.Path, other.Path) }

// SHA256 is the file's digest, with which its name begins; empty if it is no name of an
// index file.
func (k Kept) SHA256() string { return digestIn.FindString(path.Base(k.Path)) }

var digestIn = regexp.MustCompile(`^[0-9a-f]{64}\b`)

// Key is what must not be taken twice: the name alone, since a file's name says
// where it is. Each version has checksums under the same name.
func Key(file string) string {
	if base := path.Base(file); !strings.HasPrefix(base, artifact.SumsName) {
		return base
	}
	return file
}

// Load reads the ledger of the repository in dir and verifies its signature.
// The error wraps fs.ErrNotExist where nothing was published yet.
func Load(dir string, trusted Verifier) (Ledger, error) {
	l, _, err := Open(dir, trusted)
	return l, err
}

// Open is Load; pending is true if the publication was cut off.
func Open(dir string, trusted Verifier) (l Ledger, pending bool, err error) {
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

// Signed is a ledger with its signature: the content of the pending file, which has to
// be one file so that the two cannot part.
type Signed struct{ Ledger, Signature []byte }

// Put writes both where clients find them.
func (s Signed) Put(t tree.Tree) error {
	return errors.Join(t.Put(SignatureName, s.Signature), t.Put(Name, s.Ledger))
}

func readSigned(dir string) (s Signed, pending bool, err error) {
	content, err := os.ReadFile(filepath.Join(dir, PendingName))
	if err == nil {
		return s, true, json.Unmarshal(content, &s)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	if s.Ledger, err = os.ReadFile(filepath.Join(dir, Name)); err == nil {
		s.Signature, err = os.ReadFile(filepath.Join(dir, SignatureName))
	}
	return s, false, err
}

// Encode is the value as JSON that people can read too. The same value gives
// the same bytes.
func Encode(value any) []byte {
	content, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		panic(fmt.Sprintf("a value without a JSON form: %v", err)) // a programmer's slip, found by any test
	}
	return append(content, '\n')
}

// RecordPath is the place of a record, below the root. Each has a file of its own:
// together they are as large as the indexes, and of a new version only its own are
// written.
func RecordPath(digest string) string { return path.Join(Records, digest+".json") }

// ReadRecord reads what an index says of the file, in the repository in dir, into a
// value of the index's.
func (f File) ReadRecord(dir string, value any) error {
	content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(RecordPath(f.Record))))
	if err != nil {
		return fmt.Errorf("reading the record of %s: %w", f.Path, err)
	}
	if got := artifact.DigestBytes(content); got != f.Record {
		return fmt.Errorf("checksum mismatch: the record of %s is not what was published (its SHA-256 is %s, not %s): put an earlier copy of the folder in its place", f.Path, got, f.Record)
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("reading the record of %s: %w", f.Path, err)
	}
	return nil
}

// Taken are the digests of all files that were ever published, by key.
func (l Ledger) Taken() map[string]string {
	digests := map[string]string{}
	for _, f := range l.Files {
		digests[Key(f.Path)] = f.SHA256
	}
	for _, g := range l.Tombstones {
		digests[Key(g.Path)] = g.SHA256
	}
	return digests
}

// Lacks is the first name that another ledger has, with its bytes, and this one has not;
// empty where there is none. What lacks nothing can follow the other one: nothing that
// clients have seen is taken away, or changes.
func (l Ledger) Lacks(other Ledger) string {
	known, taken := l.Taken(), other.Taken()
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		if known[name] != taken[name] {
			return name
		}
	}
	return ""
}

// Find are the offered files with the given key: one, or one for each place.
func (l Ledger) Find(key string) []File {
	return l.Where(func(f File) bool { return Key(f.Path) == key })
}

// Where are the offered files that is says yes to.
func (l Ledger) Where(is func(File) bool) []File {
	return slices.DeleteFunc(slices.Clone(l.Files), func(f File) bool { return !is(f) })
}

// Next is the ledger after a publication.
func (l Ledger) Next(added []File, now time.Time) (next Ledger, retired []File) {
	next = Ledger{Published: now, Until: now.Add(Lifetime)}
	next.Files, retired = retain(slices.Concat(l.Files, added), now)
	slices.SortFunc(next.Files, File.Compare)
	next.Tombstones = append(next.Tombstones, l.Tombstones...)
	end := l.Until
	if end.Before(now) {
		end = now // in this publication nothing is deleted that the last one named
	}
	for _, f := range retired {
		next.Tombstones = append(next.Tombstones, Tombstone{f.Path, f.SHA256, f.Size, f.Published, end})
	}
	slices.SortFunc(next.Tombstones, func(a, b Tombstone) int { return cmp.Compare(a.Path, b.Path) })
	for _, k := range l.Kept {
		if !now.After(k.Until.Add(Slack)) {
			next.Kept = append(next.Kept, k)
		}
	}
	return next, retired
}

// Keep is the ledger that knows of further index files, and that they are named
// until its end.
func (l Ledger) Keep(paths []string) Ledger {
	until := map[string]time.Time{}
	for _, k := range l.Kept {
		until[k.Path] = k.Until
	}
	for _, name := range paths {
		until[name] = l.Until // no earlier than any before
	}
	l.Kept = nil
	for _, name := range slices.Sorted(maps.Keys(until)) {
		l.Kept = append(l.Kept, Kept{name, until[name]})
	}
	return l
}

// Needed are the paths of the files that stay: all but the index files that always have
// the same name.
func (l Ledger) Needed() map[string]bool {
	needed := map[string]bool{}
	for _, f := range l.Files {
		needed[f.Path] = true
		needed[RecordPath(f.Record)] = true
	}
	for _, g := range l.Tombstones {
		needed[g.Path] = !l.Published.After(g.Until.Add(Slack))
	}
	for _, k := range l.Kept {
		needed[k.Path] = true
	}
	return needed
}

// KeptIn are the paths of the kept index files in a folder.
func (l Ledger) KeptIn(dir string) (paths []string) {
	for _, k := range l.Kept {
		if path.Dir(k.Path) == dir {
			paths = append(paths, k.Path)
		}
	}
	return paths
}
