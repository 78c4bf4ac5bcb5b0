package repo

import (
	"context"
	"maps"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
)

// log adds the publication to the public log. Its checkpoint comes before the indexes:
// what a client is led to is in the log already.
func (r Repository) log(ctx context.Context, b *built) error {
	before, err := transparency.Known(r.Public, r.tree(b.ledger.Published).Read, r.Trusted, b.ledger.Log)
	if err != nil {
		return err
	}
	grown, err := before.Grow(ctx, entries(b.ledger, b.heads), r.Signer, r.Trusted)
	if err != nil {
		return err
	}
	b.ledger.Log.Size, b.ledger.Log.Root = grown.Tree.N, grown.Tree.Hash.String()
	b.tiles = grown.Files
	put := func() error { return r.tree(b.ledger.Published).Put(transparency.Checkpoint, grown.Checkpoint) }
	b.steps = slices.Insert(b.steps, 0, index.Step{Name: "writing the log's checkpoint", Do: put})
	return nil
}

// entries are what the log gets of a publication: the files that are new, or all in the
// first that has a log, and what is signed of the indexes.
func entries(l ledger.Ledger, heads map[string][]byte) (all []transparency.Entry) {
	for _, f := range l.All() {
		if f.Published.Equal(l.Published) || l.Log.Before == 0 {
			all = append(all, transparency.Entry{At: l.Published, SHA256: f.SHA256, Size: f.Size, Path: f.Path})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(heads)) {
		content := heads[name]
		all = append(all, transparency.Entry{At: l.Published, SHA256: artifact.DigestBytes(content), Size: int64(len(content)), Path: name})
	}
	return all
}
