package repo

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// built is all that a publication writes, but for the packages.
type built struct {
	ledger    Ledger
	pending   signedLedger
	indexes   map[string][]byte // apt's, by their paths below dists
	release   []byte
	signature []byte // of release, armoured
	inRelease []byte
	metadata  map[string]metadata // of rpm-md, by folder
	page      []byte
}

// step is one part of a publication. Each may be cut off anywhere, and done
// again.
type step struct {
	name string
	do   func() error
}

// apply brings the tree to the state of a ledger and gives that ledger, with the
// index files that are kept now. files are what is new; nil where a publication
// is finished that was cut off.
func (r Repository) apply(ctx context.Context, l Ledger, files *batch, page func(Ledger) ([]byte, error)) (Ledger, error) {
	r.at = l.Published
	var b built
	steps := []step{
		// Nothing names these yet.
		{"copying the packages", func() error { return r.place(files) }},
		{"making the indexes", func() (err error) { b, err = r.build(ctx, l, page); return err }},
		// From here on it is known what is being published, and can be finished.
		{"writing the plan", func() error { return r.put(pendingName, encode(b.pending)) }},
		{"writing the indexes by digest", func() error { return r.putByHash(b) }},
		{"writing the keys", func() error { return r.putAll(r.Keys) }},
		{"writing the apt indexes", func() error { return r.putAll(below(dists, b.indexes)) }},
		// apt takes these two where there is no InRelease only.
		{"writing Release", func() error { return r.putRelease(b) }},
		// These switch clients over: apt's, and those of each rpm-md repository.
		{"writing InRelease", func() error { return r.put(dists+"/InRelease", b.inRelease) }},
		{"writing the rpm metadata", func() error { return r.putMetadata(b) }},
		// What the page and the ledger say is true now.
		{"writing the page", func() error { return r.put("index.html", b.page) }},
		{"writing the ledger", func() error { return r.putLedger(b) }},
		{"removing what is not needed", func() error { return r.sweep(b.ledger) }},
		{"removing the plan", func() error { return r.remove(pendingName) }},
	}
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return Ledger{}, context.Cause(ctx)
		}
		if err := s.do(); err != nil {
			return Ledger{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return b.ledger, nil
}

// build makes and signs all that a publication writes.
func (r Repository) build(ctx context.Context, l Ledger, page func(Ledger) ([]byte, error)) (b built, err error) {
	if b.indexes, err = r.aptIndexes(l); err != nil {
		return b, err
	}
	if b.metadata, err = r.allMetadata(ctx, l); err != nil {
		return b, err
	}
	b.ledger = l.keep(b.unchanging())
	b.release = r.release(l, b.indexes)
	if b.signature, err = r.sign(ctx, b.release); err != nil {
		return b, err
	}
	if b.inRelease, err = r.Signer.Clear(ctx, b.release); err != nil {
		return b, err
	}
	b.pending.Ledger = encode(b.ledger)
	if b.pending.Signature, err = r.sign(ctx, b.pending.Ledger); err != nil {
		return b, err
	}
	if b.page, err = page(b.ledger); err != nil {
		return b, fmt.Errorf("making the page: %w", err)
	}
	return b, nil
}

// allMetadata is the metadata of all rpm-md repositories, with its signatures.
func (r Repository) allMetadata(ctx context.Context, l Ledger) (map[string]metadata, error) {
	made := make([]metadata, len(RPMFolders))
	group, making := errgroup.WithContext(ctx)
	for i, folder := range RPMFolders {
		if err := r.folder(path.Join(string(inRPM), folder)); err != nil {
			return nil, err
		}
		group.Go(func() (err error) {
			made[i], err = r.metadata(making, l, folder)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := map[string]metadata{}
	for i, folder := range RPMFolders {
		signature, err := r.sign(ctx, made[i][repomd])
		if err != nil {
			return nil, err
		}
		made[i][repomd+".asc"] = signature
		all[folder] = made[i]
	}
	return all, nil
}

// sign makes an armoured signature that clients take.
func (r Repository) sign(ctx context.Context, content []byte) ([]byte, error) {
	signature, err := r.Signer.Detached(ctx, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	if err := r.Trusted.Detached(bytes.NewReader(content), signature); err != nil {
		return nil, fmt.Errorf("the signing key is not one that clients trust: %w (publish its certificate in the keyring packages before you sign with it)", err)
	}
	return armoured(signature)
}

func armoured(signature []byte) ([]byte, error) {
	var text bytes.Buffer
	w, err := armor.Encode(&text, "PGP SIGNATURE", nil)
	if err == nil {
		_, err = w.Write(signature)
	}
	if err == nil {
		err = w.Close()
	}
	text.WriteByte('\n')
	return text.Bytes(), err
}

// unchanging are the paths of the index files whose names tell their digests.
func (b built) unchanging() []string {
	var paths []string
	for name, content := range b.indexes {
		paths = append(paths, byHash(name, artifact.DigestBytes(content)))
	}
	for folder, files := range b.metadata {
		for _, name := range locations(files[repomd]) {
			paths = append(paths, path.Join(string(inRPM), folder, repodata, name))
		}
	}
	return paths
}

// keep is the ledger that knows of further index files, and that they are named
// until its end.
func (l Ledger) keep(paths []string) Ledger {
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
