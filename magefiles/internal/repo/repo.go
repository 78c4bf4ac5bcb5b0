// Package repo makes and extends a tree of files that any web host can serve: an
// apt repository and rpm-md repositories for dnf, yum and zypper, with all that
// belongs to the packages beside them.
//
// The rules are these. A file that was published under a name never changes.
// What is there already is not opened again: the ledger and its records say of
// each package what the indexes say. A client always finds one state, the old
// one or the new one: packages come first, then index files under names that
// tell their digests, and what names those comes last, each by one rename.
// A publication that is cut off anywhere leaves such a state; the next one
// finishes it first, and leaves the same bytes as if it had not been cut off.
package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/batch"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/mirror"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Repository is the tree and what all publications into it have in common.
type Repository struct {
	Dir string // the tree's root
	// Origin is the Origin and the Label of the apt repository, by which apt's
	// preferences can tell it from others; Description says what it is, in one line.
	Origin, Description string
	// URL is where the tree is served, without a slash at the end.
	URL string
	// Everything says that nothing is given up: what leaves the indexes stays in those of an
	// archive, and each state that ever was can be read, for years. Once a tree is so, it
	// stays so. It is for homes that are large enough.
	Everything bool
	// Source is the source after whose versions the folders in files/ are named.
	// Those of other sources, such as keyring packages, have its name before it.
	Source string
	// Public is what the public log calls itself: no two logs have one name.
	Public string
	// Names are those of all packages and sources that are published, as the
	// definitions have them. Others are refused, whoever has signed them.
	Names []string
	// Notices are what the packages' versions mend. Where they are nil, and not only none,
	// the indexes have no place for them.
	Notices []pkgdef.Notice
	Signer  index.Signer
	Trusted index.Trusted
	// Certificates are those that clients shall trust, each for itself; Keys are files
	// with all of them, and others that clients begin with, by their paths below the root.
	Certificates []index.Certificate
	Keys         map[string][]byte
	Log          io.Writer // what was done, a line each

	// after, in tests, is called after each change of the tree, and stops the
	// publication with its error, as if it had been killed.
	after func(change string) error
}

// Publication is what one call of Publish adds.
type Publication struct {
	// Files are paths of files to publish, whose names say what they are. Those
	// that are published already are left alone.
	Files []string
	// Now is the time of the publication.
	Now time.Time
	// Refresh makes the indexes anew though nothing is new in them, so that they
	// are valid for longer.
	Refresh bool
	// Tested is what was seen of versions since the last publication. It takes the place of
	// what was seen of them at the same places before, and makes no publication by itself.
	Tested []ledger.Tested
	// Assessed and Attested are what is new of what others know and say of versions. Unlike
	// what was tested, they are published at once.
	Assessed []ledger.Assessed
	Attested []ledger.Attested
	// Pages makes layout.Pages and layout.Said of the state that is published, by name.
	Pages func(context.Context, ledger.Ledger) (map[string][]byte, error)
}

// Report is what a call of Publish did.
type Report struct {
	// Resumed is true if a publication that was cut off had to be finished first.
	Resumed bool
	// Unchanged is true if there was nothing to do.
	Unchanged bool
	Added     []ledger.File
	// Retired are out of the indexes from now on, and deleted when no valid one names them;
	// or archived, where everything is kept.
	Retired []ledger.File
	Until   time.Time
}

// Tools are the programs that publishing takes.
func Tools() (tools []string) {
	for _, kind := range layout.Kinds() {
		tools = append(tools, kind.Tools...)
	}
	return tools
}

// tree is the repository's, at the time of a publication.
func (r Repository) tree(at time.Time) tree.Tree {
	return tree.Tree{Dir: r.Dir, At: at, After: r.after}
}

func (r Repository) path(name string) string { return r.tree(time.Time{}).Path(name) }

// keys are all files with certificates.
func (r Repository) keys() map[string][]byte {
	files := layout.Keys(r.Certificates)
	maps.Copy(files, r.Keys)
	return files
}

// mirror is the folder, for what is published.
func (r Repository) mirror() mirror.Mirror {
	return mirror.Mirror{Tree: r.tree(time.Time{}), Trusted: r.Trusted, Public: r.Public, Keys: r.keys(), Log: r.Log}
}

// Fetch is Mirror.Fetch, into the repository.
func (r Repository) Fetch(ctx context.Context, address string, first bool) (ledger.Ledger, error) {
	return r.mirror().Fetch(ctx, address, first)
}

// FetchFrom is Fetch from a store, of which what a publication needs is read, and no more.
func (r Repository) FetchFrom(ctx context.Context, from store.Store, first bool) (ledger.Ledger, error) {
	return r.mirror().FetchFrom(ctx, &store.Source{Store: from, Trusted: r.Trusted, Keys: r.keys(), Log: r.Log}, first)
}

// Due is Ledger.Due, in the repository.
func (r Repository) Due(l ledger.Ledger, released []ledger.Released, now time.Time) []ledger.Released {
	return l.Due(released, now, func(of ledger.Revision) string { return layout.Folder(r.Source, of) })
}

// Publish adds files to the repository, or makes it. The error of a file that
// cannot be published says what to do, and then nothing was written.
func (r Repository) Publish(ctx context.Context, p Publication) (Report, error) {
	p.Now = p.Now.UTC().Truncate(time.Second)
	unlock, err := r.tree(p.Now).Lock(ctx, r.Log)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	report, err := r.publish(ctx, p)
	if err != nil {
		return Report{}, fmt.Errorf("publishing in %s: %w", r.Dir, artifact.Explain(err, r.path(".")))
	}
	return report, nil
}

func (r Repository) publish(ctx context.Context, p Publication) (report Report, err error) {
	old, pending, err := r.open()
	if err != nil {
		return Report{}, err
	}
	if pending {
		fmt.Fprintf(r.Log, "finishing the publication of %s, which was cut off\n", old.Published.Format(time.DateTime))
		report.Resumed = true
		if old, err = r.apply(ctx, old, nil, p.Pages); err != nil {
			return Report{}, err
		}
	}
	files := &batch.Batch{Source: r.Source, Names: r.Names, Tree: r.tree(p.Now), Trusted: r.Trusted}
	if err := files.Read(ctx, p.Files, old); err != nil {
		return Report{}, err
	}
	report.Added, report.Until = files.Added(p.Now), old.Until
	if p.Now.Before(old.Published) {
		return Report{}, fmt.Errorf("the last publication was at %s, after this one's time, %s: apt ignores indexes that are older than what it has (is the clock right?)", old.Published, p.Now)
	}
	if report.Unchanged, err = r.upToDate(old, report.Added, p); err != nil || report.Unchanged {
		return report, err
	}
	next, retired := r.next(old, report.Added, p.Now)
	report.Retired, report.Until = retired, next.Until
	_, err = r.apply(ctx, p.said(next.See(p.Tested)), files, p.Pages)
	return report, err
}

// next is the ledger after a publication. One that is but signed again is no other state.
func (r Repository) next(old ledger.Ledger, added []ledger.File, now time.Time) (next ledger.Ledger, retired []ledger.File) {
	same := old.Notices == r.notices() && !r.begins(old)
	old.Everything = old.Everything || r.Everything
	next, retired = old.Next(added, now)
	next.Notices = r.notices()
	if next.Everything && (!same || len(added)+len(retired) > 0) {
		next.Snapshots = append(next.Snapshots, now)
	}
	return next, retired
}

// said is a ledger with what is new of what others know and say.
func (p Publication) said(l ledger.Ledger) ledger.Ledger {
	return l.Assess(p.Assessed).Attest(p.Attested)
}

// begins says whether everything is kept from now on.
func (r Repository) begins(old ledger.Ledger) bool { return r.Everything && !old.Everything }

// open reads and verifies the ledger, and sees that all it offers is there; pending is
// true if its publication was cut off. The first publication has none.
func (r Repository) open() (l ledger.Ledger, pending bool, err error) {
	l, pending, err = ledger.Open(r.path("."), r.Trusted)
	if errors.Is(err, fs.ErrNotExist) {
		return ledger.Ledger{}, false, r.isNew()
	}
	if err != nil {
		return ledger.Ledger{}, false, err
	}
	home, err := ledger.LoadHome(r.path("."))
	if err != nil {
		return ledger.Ledger{}, false, err
	}
	errs := []error{transparency.Whole(r.Public, r.tree(l.Published).Read, r.Trusted, l.Log, pending)}
	for _, f := range l.All() {
		info, err := os.Stat(r.path(f.Path))
		if errors.Is(err, fs.ErrNotExist) && home.Has(f) {
			continue
		}
		if err == nil && info.Size() != f.Size {
			err = fmt.Errorf("%s has %d bytes, and was published with %d", f.Path, info.Size(), f.Size)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("a published file is not what it was: %w (put the published one back)", err))
		}
	}
	return l, pending, errors.Join(errs...)
}

// isNew is an error if something was published in a tree without a ledger.
func (r Repository) isNew() error {
	for _, kind := range layout.Kinds() {
		for _, name := range kind.Traces {
			if _, err := os.Lstat(r.path(name)); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is %s, but no %s: put it back, or publish all versions into an empty folder", name, ledger.Name)
			}
		}
	}
	return nil
}

// notices is the digest of what the indexes are to tell of; empty where they tell of nothing.
func (r Repository) notices() string {
	if r.Notices == nil {
		return ""
	}
	return artifact.DigestBytes(ledger.Encode(r.Notices))
}

// upToDate says whether there is nothing to do.
func (r Repository) upToDate(old ledger.Ledger, added []ledger.File, p Publication) (bool, error) {
	if len(added) > 0 {
		return false, nil
	}
	if len(old.Files) == 0 {
		return false, errors.New("there is nothing to publish: build and sign a version first")
	}
	if !r.tree(p.Now).Has(r.keys()) || old.Notices != r.notices() || r.begins(old) || !p.said(old).SaysAsMuch(old) {
		return false, nil
	}
	return !p.Refresh && old.Until.Sub(p.Now) >= ledger.Renewal, nil
}
