package repo

import (
	"context"
	"fmt"
	"maps"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/batch"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/notice"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
)

// apply brings the tree to the state of a ledger and gives that ledger, with the
// index files that are kept now. files are what is new; nil where a publication
// is finished that was cut off.
func (r Repository) apply(ctx context.Context, l ledger.Ledger, files *batch.Batch, pages func(context.Context, ledger.Ledger) (map[string][]byte, error)) (ledger.Ledger, error) {
	var b built
	to, keys := r.tree(l.Published), r.keys()
	err := do(ctx, []index.Step{
		// Nothing names these yet.
		{Name: "copying the packages", Do: func() error { return files.Place(to) }},
		{Name: "making the indexes", Do: func() (err error) { b, err = r.build(ctx, l, pages); return err }},
		// From here on it is known what is being published, and can be finished.
		{Name: "writing the plan", Do: func() error { return to.Put(ledger.PendingName, ledger.Encode(b.signed)) }},
		{Name: "writing the indexes by digest", Do: func() error { return to.PutAll(b.first) }},
		{Name: "writing the log", Do: func() error { return r.tree(transparency.Time).PutAll(b.tiles) }},
		{Name: "writing the keys", Do: func() error { return to.PutAll(keys) }},
	})
	if err != nil {
		return ledger.Ledger{}, err
	}
	// These switch clients over, those of one kind of index after those of another.
	if err := do(ctx, b.steps); err != nil {
		return ledger.Ledger{}, err
	}
	return b.ledger, do(ctx, []index.Step{
		// What the pages and the ledger say is true now.
		{Name: "writing the pages", Do: func() error { return to.PutAll(b.pages) }},
		{Name: "writing the ledger", Do: func() error { return b.signed.Put(to) }},
		{Name: "removing what is not needed", Do: func() error { return layout.Sweep(to, b.ledger, keys) }},
		{Name: "removing the plan", Do: func() error { return to.Remove(ledger.PendingName) }},
	})
}

// do does steps in their order.
func do(ctx context.Context, steps []index.Step) error {
	for _, step := range steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := step.Do(); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	return nil
}

// built is all that a publication writes, but for the packages and keys.
type built struct {
	ledger ledger.Ledger
	signed ledger.Signed
	pages  map[string][]byte
	// first are the index files that no client is led to yet, by path; steps put all
	// others in place.
	first map[string][]byte
	steps []index.Step
	// tiles are the new files of the public log, by path.
	tiles map[string][]byte
	// heads are what is signed of the indexes, by path.
	heads map[string][]byte
}

// build makes and signs all that a publication writes.
func (r Repository) build(ctx context.Context, l ledger.Ledger, pages func(context.Context, ledger.Ledger) (map[string][]byte, error)) (b built, err error) {
	state := index.State{
		Tree: r.tree(l.Published), Ledger: l, Updates: notice.Updates(l, r.Notices), Signing: r.signing(),
		Origin: r.Origin, Description: r.Description, URL: r.URL, Certificates: r.Certificates, Log: r.Log,
	}
	var unchanging []string
	b.first, b.heads = map[string][]byte{}, map[string][]byte{}
	snapshot := map[string]string{}
	for _, kind := range layout.Kinds() {
		made, err := kind.Make(ctx, state)
		if err != nil {
			return b, err
		}
		unchanging, b.steps = append(unchanging, made.Unchanging...), append(b.steps, made.Steps...)
		maps.Copy(b.first, made.First)
		maps.Copy(b.first, made.Snapshot)
		maps.Copy(b.heads, made.Signed)
		for name, content := range made.Snapshot {
			snapshot[name] = artifact.DigestBytes(content)
		}
	}
	b.ledger = l.Keep(unchanging, snapshot)
	if err := r.log(ctx, &b); err != nil {
		return b, err
	}
	b.signed.Ledger = ledger.Encode(b.ledger)
	if b.signed.Signature, err = r.signing().Sign(ctx, b.signed.Ledger); err != nil {
		return b, err
	}
	if b.pages, err = pages(ctx, b.ledger); err != nil {
		return b, fmt.Errorf("making the pages: %w", err)
	}
	return b, nil
}

func (r Repository) signing() index.Signing {
	return index.Signing{Signer: r.Signer, Trusted: r.Trusted}
}
