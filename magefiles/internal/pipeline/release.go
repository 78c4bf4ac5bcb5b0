package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/admission"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/signing"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/release"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Builder says who builds, for the provenance.
type Builder struct {
	// ID is the address that names what runs the build; empty means a machine of
	// the caller's own.
	ID string
}

// Opener gives the key to sign with. It is called when the files to be signed were
// found right, and not before, and is told which source they are of: what only
// others can say of that, such as upstream, is asked before the key is touched.
type Opener func(context.Context, artifact.Tree) (*sign.Signer, error)

// Opened is the Opener of a key that is open already.
func Opened(signer *sign.Signer) Opener {
	return func(context.Context, artifact.Tree) (*sign.Signer, error) { return signer, nil }
}

// Confirmed is an Opener that first compares the commit of the source with upstream's
// own tag: on the module proxy's word alone no key is opened. Where there is no upstream
// but this repository, theirs is nil, and the checkout itself is what there is.
func Confirmed(theirs *hub.Repository, key Opener) Opener {
	if theirs == nil {
		return key
	}
	return func(ctx context.Context, tree artifact.Tree) (*sign.Signer, error) {
		if err := upstream.Confirm(ctx, theirs, Known(tree)); err != nil {
			return nil, fmt.Errorf("nothing is signed: %w", err)
		}
		return key(ctx, tree)
	}
}

// Known is of which commit a tree is, to be compared with upstream's tags.
func Known(tree artifact.Tree) upstream.Known {
	return upstream.Known{Version: tree.Version, Commit: tree.Commit, By: cmp.Or(tree.CommitBy, "nobody")}
}

// Sign builds, and makes of it the folder with all files to ship: packages and
// source packages signed, the record of each architecture's build machine, the
// provenance of exactly these files, and their signed checksums. All signatures
// have the time of the source (or of the key, where that is younger): the same
// key makes the same files, whenever that is. The folder is named after the source
// and the version, in signed; empty means dist/signed.
func (p Pipeline) Sign(ctx context.Context, o Options, key Opener, by Builder, signed string) (Result, error) {
	// What waits was seen by nobody.
	if err := p.signable(o.Source); err != nil {
		return Result{}, err
	}
	// All files, built here or gathered from where others have built them.
	result, err := p.Build(ctx, o)
	if err != nil {
		return Result{}, err
	}
	if !result.Tree.Verified {
		return Result{}, fmt.Errorf("%s is not signed: nobody vouches for its source", result.Tree.FullVersion())
	}
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	// What may be signed, by content and before the key is opened.
	admitted, b, err := p.admitted(ctx, o, result.Tree, by)
	if err != nil {
		return Result{}, err
	}
	// The key, of which upstream is asked first; it has to be the archive's.
	signer, err := p.opened(ctx, key, result.Tree)
	if err != nil {
		return Result{}, err
	}
	// The folder.
	start := time.Now()
	folder := signing.Folder{
		Version: b.inventory(), Admitted: admitted, Signer: signer.At(b.tree.Time),
		Builder: by.ID, Root: p.Root, Signed: cmp.Or(signed, p.signedDir()), Log: p.Log,
	}
	result = b.result()
	result.Dir, result.Signed = folder.Dir(), signer.Fingerprint()
	result.Files, err = folder.Make(ctx)
	result.Took = time.Since(start)
	return result, err
}

// signable refuses a source that waits, whatever was built of it.
func (p Pipeline) signable(name string) error {
	source, err := p.Source(name)
	if err == nil && source.Waits != "" {
		err = fmt.Errorf("nothing of %s is signed, it waits: %s", source.Name, source.Waits)
	}
	return err
}

// admitted is what may be signed of a build.
func (p Pipeline) admitted(ctx context.Context, o Options, tree artifact.Tree, by Builder) (admission.Admitted, *build, error) {
	b, err := p.load(o)
	if err != nil {
		return admission.Admitted{}, nil, err
	}
	b.tree = tree
	admitted, err := admission.Candidate{
		Version: b.inventory(),
		Foreign: b.options.Prebuilt != "", Workflow: by.ID != "", Rebuilt: b.options.Rebuilt, Log: p.Log,
	}.Admit(ctx)
	if err != nil {
		err = fmt.Errorf("nothing is signed: %w", err)
	}
	return admitted, b, err
}

// opened is the key, which has to be one of the archive's.
func (p Pipeline) opened(ctx context.Context, key Opener, tree artifact.Tree) (*sign.Signer, error) {
	signer, err := key(ctx, tree)
	if err != nil {
		return nil, err
	}
	if _, err := p.vouched(signer); err != nil {
		return nil, fmt.Errorf("nothing is signed: %w", err)
	}
	return signer, nil
}

// signedDir has the folders of what is shipped, by source and version.
func (p Pipeline) signedDir() string { return filepath.Join(string(p.Dist), "signed") }

// SignAnd is Sign with a key that is given up at its end; before that, do does something
// with the result and the key.
func (p Pipeline) SignAnd(ctx context.Context, o Options, key Opener, by Builder, do func(Result, *sign.Signer) error) error {
	var signer *sign.Signer
	result, err := p.Sign(ctx, o, func(ctx context.Context, tree artifact.Tree) (_ *sign.Signer, err error) {
		signer, err = key(ctx, tree)
		return signer, err
	}, by, "")
	if err == nil {
		err = do(result, signer)
	}
	if signer != nil {
		err = errors.Join(err, signer.Close())
	}
	return err
}

// Described is the release of a signed folder of a source, with what its notes say.
func (p Pipeline) Described(ctx context.Context, r release.Release, name string, result Result) (release.Release, error) {
	source, err := p.Source(name)
	if err != nil {
		return r, err
	}
	r.Source, r.Number, r.Dir = source, source.Release, result.Dir
	r.Notes.Tree, r.Notes.Key = result.Tree, result.Signed
	r.Notes.Changelog, err = p.Changelog(ctx, name, result.Tree.Version)
	return r, err
}

// Vouch builds what is asked for, of each source, and gives the digests of all that was
// made, for the Rebuilt of a Sign on another machine.
func (p Pipeline) Vouch(ctx context.Context, o Options) (string, error) {
	if o.Prebuilt != "" {
		return "", errors.New("what others have built says nothing new about itself: build it here, without SPIRE_PREBUILT")
	}
	var digests string
	err := p.ForEach(o, func(o Options) error {
		built, err := p.Build(ctx, o)
		digests += built.Digests()
		return err
	})
	return digests, err
}
