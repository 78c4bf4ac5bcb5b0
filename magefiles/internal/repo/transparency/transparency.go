// Package transparency keeps and reads the log of all that a repository ever published:
// each file, and of each publication what is signed of its indexes. It only grows. Its
// head, the checkpoint, is signed and commits to every entry, so whoever has seen one can
// tell whether all that came after it stands behind what was there before: a repository
// that shows one user other files than the rest has to have them in the log, or a log
// that does not go on from what somebody saw.
//
// It is a tree of hashes as that of Go's checksum database (RFC 6962), by the same code,
// in static files of the form c2sp.org/tlog-tiles: log/checkpoint, log/tile/LEVEL/N and
// log/tile/entries/N.
package transparency

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Folder has all of the log, and Checkpoint its head, below the repository's root.
const (
	Folder     = "log"
	Checkpoint = Folder + "/checkpoint"
)

// Time is the one that all files of the log have but for the checkpoint: under their names
// there is never anything else, and so nothing new.
var Time = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Read reads a file of the repository, by its path below the root.
type Read func(name string) ([]byte, error)

// Log is a log as it is at one checkpoint.
type Log struct {
	Origin string // what the log is called in its checkpoints
	Tree   tlog.Tree
	read   Read
	hashes tlog.HashReader // each is verified against Tree
}

// Open reads and verifies the checkpoint of a log. Each of the witnesses must have
// cosigned it. The error wraps fs.ErrNotExist where there is none.
func Open(origin string, read Read, trusted Trusted, witnesses ...note.Verifier) (Log, error) {
	content, err := read(Checkpoint)
	if err != nil {
		return Log{}, err
	}
	tree, err := opened(content, origin, trusted, witnesses)
	if err != nil {
		return Log{}, err
	}
	return at(origin, read, tree), nil
}

func at(origin string, read Read, tree tlog.Tree) Log {
	l := Log{Origin: origin, Tree: tree, read: read}
	if tree.N > 0 {
		l.hashes = tlog.TileHashReader(tree, tiles{read, map[tlog.Tile][]byte{}})
	}
	return l
}

// Known is the log of a repository whose ledger says what head it has. It may be as it
// was before the ledger's publication, if that was cut off.
func Known(origin string, read Read, trusted Trusted, head ledger.Head) (Log, error) {
	l, err := Open(origin, read, trusted)
	switch {
	case errors.Is(err, fs.ErrNotExist) && head.Before == 0:
		return at(origin, read, tlog.Tree{}), nil
	case err != nil:
		return l, fmt.Errorf("the repository's log is not what was published: %w (put an earlier copy of the whole folder in its place)", err)
	case l.Tree.N == head.Size && l.Tree.Hash.String() == head.Root, l.Tree.N == head.Before && head.Before < head.Size:
		return l, nil
	}
	return l, fmt.Errorf("the repository's log has %d entries and the root %s, and its ledger says %d and %s (put an earlier copy of the whole folder in its place)", l.Tree.N, l.Tree.Hash, head.Size, head.Root)
}

// Whole is an error unless the log is the one that a ledger knows of, to its last entry. It
// may be as it was before the ledger's publication only where that is pending.
func Whole(origin string, read Read, trusted Trusted, head ledger.Head, pending bool) error {
	if !pending {
		head.Before = head.Size
	}
	log, err := Known(origin, read, trusted, head)
	if err == nil {
		_, err = log.Entries(0)
	}
	return err
}

// Entries are the entries from a number on, each verified against the checkpoint.
func (l Log) Entries(from int64) (entries []Entry, err error) {
	for _, tile := range entryTiles(from, l.Tree.N) {
		found, err := l.entries(tile)
		if err != nil {
			return nil, fmt.Errorf("the log's %s: %w", tilePath(tile), err)
		}
		entries = append(entries, found[max(0, from-tile.N*width):]...)
	}
	return entries, nil
}

// entries are those of one tile.
func (l Log) entries(tile tlog.Tile) ([]Entry, error) {
	content, err := l.read(tilePath(tile))
	if err != nil {
		return nil, err
	}
	lines, err := unbundle(content, tile.W)
	if err != nil {
		return nil, err
	}
	var wanted []int64
	for i := range lines {
		wanted = append(wanted, tlog.StoredHashIndex(0, tile.N*width+int64(i)))
	}
	hashes, err := l.hashes.ReadHashes(wanted)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for i, line := range lines {
		if tlog.RecordHash([]byte(line)) != hashes[i] {
			return nil, fmt.Errorf("checksum mismatch: %.200q is not what the checkpoint commits to", line)
		}
		entry, err := parseEntry([]byte(line))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// Continues is an error unless the log has grown from an earlier state of it.
func (l Log) Continues(earlier tlog.Tree) error {
	if l.Tree.N < earlier.N {
		return fmt.Errorf("the log was rolled back: it has %d entries, and had %d when it was last seen", l.Tree.N, earlier.N)
	}
	root := l.Tree.Hash
	if l.Tree.N > earlier.N {
		var err error
		if root, err = tlog.TreeHash(earlier.N, l.hashes); err != nil {
			return fmt.Errorf("proving that the log goes on from its %d entries: %w", earlier.N, err)
		}
	}
	if root != earlier.Hash {
		return fmt.Errorf("split view: the first %d entries of the log have the root %s, and had %s when it was last seen", earlier.N, root, earlier.Hash)
	}
	return nil
}

// Grown is a log with more entries, that is not written yet.
type Grown struct {
	Tree       tlog.Tree
	Files      map[string][]byte // tiles, by path below the root; no client is led to them yet
	Checkpoint []byte            // whose writing leads clients to them
}

// Grow adds entries, but for those that the last publication, of the same time, has
// added already: it may have been cut off.
func (l Log) Grow(ctx context.Context, entries []Entry, by Signer, trusted Trusted) (g Grown, err error) {
	added, err := l.lacking(entries)
	if err != nil {
		return g, err
	}
	g.Tree = l.Tree
	if g.Files, err = l.append(&g.Tree, lines(added)); err != nil {
		return g, fmt.Errorf("adding to the log: %w", err)
	}
	g.Checkpoint, err = signed(ctx, l.Origin, g.Tree, by, trusted)
	return g, err
}

// lacking are the entries that are not at the log's end. All have one time.
func (l Log) lacking(entries []Entry) ([]Entry, error) {
	had := map[string]bool{}
	for end := l.Tree.N; end > 0; end = (end - 1) / width * width {
		last, err := l.Entries((end - 1) / width * width)
		if err != nil {
			return nil, err
		}
		for _, e := range last {
			had[e.String()] = true
		}
		if len(entries) == 0 || last[0].At.Before(entries[0].At) {
			break
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return had[e.String()] }), nil
}

// append makes the tiles that new entries change, and the tree with them.
func (l Log) append(tree *tlog.Tree, added []string) (map[string][]byte, error) {
	all := grown{old: l.hashes, fresh: map[int64]tlog.Hash{}}
	for i, line := range added {
		n := tree.N + int64(i)
		hashes, err := tlog.StoredHashes(n, []byte(line), all)
		if err != nil {
			return nil, err
		}
		for j, hash := range hashes {
			all.fresh[tlog.StoredHashIndex(0, n)+int64(j)] = hash
		}
	}
	before := tree.N
	tree.N += int64(len(added))
	files, err := l.bundles(before, tree.N, added)
	if err != nil {
		return nil, err
	}
	for _, tile := range tlog.NewTiles(height, before, tree.N) {
		if files[tilePath(tile)], err = tlog.ReadTileData(tile, all); err != nil {
			return nil, err
		}
	}
	tree.Hash, err = tlog.TreeHash(tree.N, all)
	return files, err
}

// bundles are the tiles of entries that new ones change.
func (l Log) bundles(from, to int64, added []string) (map[string][]byte, error) {
	start := from / width * width // of the tile that has entries already
	if from > start {
		before, err := l.Entries(start)
		if err != nil {
			return nil, err
		}
		added = append(lines(before), added...)
	}
	files := map[string][]byte{}
	for _, tile := range entryTiles(start, to) {
		files[tilePath(tile)] = bundle(added[:tile.W])
		added = added[tile.W:]
	}
	return files, nil
}

// grown reads the hashes of a log, and those that are not written yet.
type grown struct {
	old   tlog.HashReader
	fresh map[int64]tlog.Hash
}

// ReadHashes reads hashes by their numbers.
func (g grown) ReadHashes(numbers []int64) (hashes []tlog.Hash, err error) {
	var stored []int64
	for _, n := range numbers {
		if _, fresh := g.fresh[n]; !fresh {
			stored = append(stored, n)
		}
	}
	var old []tlog.Hash
	if len(stored) > 0 {
		if old, err = g.old.ReadHashes(stored); err != nil {
			return nil, err
		}
	}
	for _, n := range numbers {
		hash, fresh := g.fresh[n]
		if !fresh {
			hash, old = old[0], old[1:]
		}
		hashes = append(hashes, hash)
	}
	return hashes, nil
}
