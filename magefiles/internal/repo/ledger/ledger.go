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
	// Everything says that nothing is ever given up: what leaves the indexes stays, with
	// indexes of its own, and so does each state. It is never taken back, or a publication
	// that forgets to ask for it would delete an archive.
	Everything bool `json:",omitempty"`
	// Archived are files that left the indexes and stay, in order of path.
	Archived []File `json:",omitempty"`
	// Snapshots are the times of the publications whose indexes can still be read as they
	// were, the oldest first.
	Snapshots []time.Time `json:",omitempty"`
	// Notices is the SHA-256 of the notices that the indexes tell of: others are a reason
	// to make them anew. It is empty where they have no place for any.
	Notices string `json:",omitempty"`
	// Tested is what was last seen of what is offered, in order of source, version and place.
	Tested []Tested `json:",omitempty"`
	// Assessed is what is known against what is offered, in order of source and version.
	Assessed []Assessed `json:",omitempty"`
	// Attested are those who got what is offered by building it again, in the order in which
	// they came.
	Attested []Attested `json:",omitempty"`
	// Log is the public log with this publication; empty where there was none yet.
	Log Head `json:",omitzero"`
}

// Assessed is what databases of vulnerabilities knew of a version.
type Assessed struct {
	Source  string
	Version string // with the packaging's release
	Seen    time.Time
	// VEX is an OpenVEX document; empty where nothing was known.
	VEX json.RawMessage `json:",omitempty"`
}

// Attested is an attestation that a version was built again, with the same bytes.
type Attested struct {
	ID          int // from 1: no two that are served at once have the same
	Source      string
	Version     string // with the packaging's release
	By          string // the name of who attests
	Published   time.Time
	Attestation json.RawMessage
}

// Tested is what the tests saw of a version at a place.
type Tested struct {
	Source  string
	Version string // with the packaging's release, such as 1.14.5-1
	Place   string // a distribution release on an architecture, such as debian-12-arm64
	Outcome string // works, failed or not run
	Seen    time.Time
}

// Head is what is known of the public log.
type Head struct {
	Before int64  // its entries before the publication
	Size   int64  // its entries
	Root   string // the hash over all of them, base64
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
	// Released is the name that the file has in its release, where its package manager
	// looks for it under another one, which is that of the path; empty elsewhere.
	Released string `json:",omitempty"`
}

// Tombstone is a file that no index names any more.
type Tombstone struct {
	Path      string
	SHA256    string
	Size      int64     // bytes
	Published time.Time // as of a File
	Until     time.Time // the end of the last index that named it
	Released  string    `json:",omitempty"` // as of a File
}

// Kept is an index file that an index which is still valid may name.
type Kept struct {
	Path  string
	Until time.Time // the end of the last index that names it
	// Digest is the SHA-256 of a file of a snapshot; that of others is in their name.
	Digest string `json:",omitempty"`
}

// Name is the file's base name.
func (f File) Name() string { return path.Base(f.Path) }

// Key is what must not be taken twice: see the function.
func (f File) Key() string { return Key(cmp.Or(f.Released, f.Path)) }

// Key is as of a File.
func (g Tombstone) Key() string { return Key(cmp.Or(g.Released, g.Path)) }

// Revision is what the file is of.
func (f File) Revision() Revision { return Revision{f.Source, f.Version, f.Release} }

// Compare is the order of the ledger: by path.
func (f File) Compare(other File) int { return cmp.Compare(f.Path, other.Path) }

// SHA256 is the file's digest; empty if nothing says it.
func (k Kept) SHA256() string { return cmp.Or(k.Digest, digestIn.FindString(path.Base(k.Path))) }

// Written is when the file was published last.
func (k Kept) Written() time.Time {
	if k.Digest != "" {
		return k.Until.Add(-SnapshotLifetime)
	}
	return k.Until.Add(-Lifetime)
}

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

// All are the files that are there: those that are offered, and those that are archived.
func (l Ledger) All() []File {
	if len(l.Archived) == 0 {
		return l.Files
	}
	all := slices.Concat(l.Files, l.Archived)
	slices.SortFunc(all, File.Compare)
	return all
}

// Taken are the digests of all files that were ever published, by key.
func (l Ledger) Taken() map[string]string {
	digests := map[string]string{}
	for _, f := range l.All() {
		digests[f.Key()] = f.SHA256
	}
	for _, g := range l.Tombstones {
		digests[g.Key()] = g.SHA256
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
	return l.Where(func(f File) bool { return f.Key() == key })
}

// Where are the offered files that is says yes to.
func (l Ledger) Where(is func(File) bool) []File {
	return slices.DeleteFunc(slices.Clone(l.Files), func(f File) bool { return !is(f) })
}

// Next is the ledger after a publication.
func (l Ledger) Next(added []File, now time.Time) (next Ledger, retired []File) {
	next = Ledger{Published: now, Until: now.Add(Lifetime), Everything: l.Everything, Tested: l.Tested, Assessed: l.Assessed, Attested: l.Attested, Log: l.Log}
	if now.After(l.Published) { // else it is the same publication once more
		next.Log.Before = l.Log.Size
	}
	next.Files, retired = retain(slices.Concat(l.Files, added), now)
	slices.SortFunc(next.Files, File.Compare)
	next.Tombstones = append(next.Tombstones, l.Tombstones...)
	for _, at := range l.Snapshots {
		if !now.After(at.Add(SnapshotLifetime + Slack)) {
			next.Snapshots = append(next.Snapshots, at)
		}
	}
	next.Archived = l.Archived
	next.retire(retired, l.Until)
	for _, k := range l.Kept {
		if !now.After(k.Until.Add(Slack)) {
			next.Kept = append(next.Kept, k)
		}
	}
	return next, retired
}

// retire remembers files that leave the indexes, of which the last one ended at a time: in
// the archive, or as what there once was.
func (l *Ledger) retire(retired []File, end time.Time) {
	if l.Everything {
		l.Archived = slices.Concat(l.Archived, retired)
		slices.SortFunc(l.Archived, File.Compare)
		return
	}
	if end.Before(l.Published) {
		end = l.Published // in this publication nothing is deleted that the last one named
	}
	for _, f := range retired {
		l.Tombstones = append(l.Tombstones, Tombstone{f.Path, f.SHA256, f.Size, f.Published, end, f.Released})
	}
	slices.SortFunc(l.Tombstones, func(a, b Tombstone) int { return cmp.Compare(a.Path, b.Path) })
}

// See is the ledger that knows what was seen of the versions that it offers: what is new
// in the place of what was seen of a version at the same place before.
func (l Ledger) See(tested []Tested) Ledger {
	type where struct{ source, version, place string }
	last := map[where]Tested{}
	for _, one := range append(slices.Clone(l.Tested), tested...) {
		if at := (where{one.Source, one.Version, one.Place}); !one.Seen.Before(last[at].Seen) {
			last[at] = one
		}
	}
	offered := l.offered()
	l.Tested = nil
	for _, one := range last {
		if offered[[2]string{one.Source, one.Version}] {
			l.Tested = append(l.Tested, one)
		}
	}
	slices.SortFunc(l.Tested, func(a, b Tested) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Place, b.Place))
	})
	return l
}

// Keep is the ledger that knows of further index files: that those of the paths are named
// until its end, and those of a snapshot, whose digests are given by path, for as long as
// snapshots stay.
func (l Ledger) Keep(paths []string, snapshot map[string]string) Ledger {
	kept := map[string]Kept{}
	for _, k := range l.Kept {
		kept[k.Path] = k
	}
	for _, name := range paths {
		kept[name] = Kept{Path: name, Until: l.Until} // no earlier than any before
	}
	for name, digest := range snapshot {
		kept[name] = Kept{name, l.Published.Add(SnapshotLifetime), digest}
	}
	l.Kept = nil
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		l.Kept = append(l.Kept, kept[name])
	}
	return l
}

// Snapshot is the name of the snapshot that the ledger's publication makes; empty where it
// makes none.
func (l Ledger) Snapshot() string {
	if n := len(l.Snapshots); n > 0 && l.Snapshots[n-1].Equal(l.Published) {
		return SnapshotName(l.Published)
	}
	return ""
}

// SnapshotName is how apt names a moment.
func SnapshotName(at time.Time) string { return at.UTC().Format("20060102T150405Z") }

// Needed are the paths of the files that stay: all but the index files that always have
// the same name.
func (l Ledger) Needed() map[string]bool {
	needed := map[string]bool{}
	for _, f := range l.All() {
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
