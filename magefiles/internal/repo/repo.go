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
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Signer signs indexes.
type Signer interface {
	// Detached is a binary OpenPGP signature, of type 0x00, of all of message.
	Detached(ctx context.Context, message io.Reader) ([]byte, error)
	// Clear is text in the cleartext signature framework (RFC 9580, section 7).
	Clear(ctx context.Context, text []byte) ([]byte, error)
}

// Trusted verifies by the keys that clients shall trust.
type Trusted interface {
	// Detached verifies a signature, binary or armoured, of all of content.
	Detached(content io.Reader, signature []byte) error
	// RPM verifies the signature of the rpm at path.
	RPM(ctx context.Context, path string) error
}

// Repository is the tree and what all publications into it have in common.
type Repository struct {
	Dir string // the tree's root
	// Origin is the Origin and the Label of the apt repository, by which apt's
	// preferences can tell it from others; Description says what it is, in one line.
	Origin, Description string
	// Source is the source after whose versions the folders in files/ are named.
	// Those of other sources, such as keyring packages, have its name before it.
	Source string
	// Names are those of all packages and sources that are published, as the
	// definitions have them. Others are refused, whoever has signed them.
	Names   []string
	Signer  Signer
	Trusted Trusted
	// Keys are files with the certificates that clients shall trust, by their
	// paths below the tree's root.
	Keys map[string][]byte
	// Hints are content tags of the rpm metadata: with gpg-pubkey-ID.asc?fpr=FPR
	// for each of the Keys beside them, zypper imports a new key on the word of the
	// present one (libzypp, zypp/repo/Downloader.cc).
	Hints []string
	Log   io.Writer // what was done, a line each

	// at is the time that files get which are written: that of the publication. A
	// client asks for what is newer than what it has, in whole seconds, and real
	// times could be equal.
	at time.Time
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
	// Page makes index.html of the state that is published.
	Page func(Ledger) ([]byte, error)
}

// Report is what a call of Publish did.
type Report struct {
	// Resumed is true if a publication that was cut off had to be finished first.
	Resumed bool
	// Unchanged is true if there was nothing to do.
	Unchanged bool
	Added     []File
	Retired   []File // out of the indexes from now on, deleted when no valid one names them
	Until     time.Time
}

// Tools are the programs that publishing takes.
func Tools() []string { return []string{"apt-ftparchive", "createrepo_c", "rpm"} }

// Publish adds files to the repository, or makes it. The error of a file that
// cannot be published says what to do, and then nothing was written.
func (r Repository) Publish(ctx context.Context, p Publication) (Report, error) {
	p.Now = p.Now.UTC().Truncate(time.Second)
	unlock, err := r.lock(ctx)
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

// lock keeps other runs out of the tree until unlock is called.
func (r Repository) lock(ctx context.Context) (unlock func(), err error) {
	// Beside the tree and not in it: the tree is for the public.
	work := artifact.Dist(filepath.Dir(r.path("."))).Work(filepath.Base(r.path(".")))
	return artifact.Dist(work).Lock(ctx, r.Log)
}

func (r Repository) publish(ctx context.Context, p Publication) (report Report, err error) {
	old, err := r.open()
	if err != nil {
		return Report{}, err
	}
	if old.pending {
		fmt.Fprintf(r.Log, "finishing the publication of %s, which was cut off\n", old.Published.Format(time.DateTime))
		report.Resumed = true
		if old.Ledger, err = r.apply(ctx, old.Ledger, nil, p.Page); err != nil {
			return Report{}, err
		}
	}
	files, err := r.read(ctx, p.Files, old.Ledger)
	if err != nil {
		return Report{}, err
	}
	report.Added, report.Until = files.added(p.Now), old.Until
	if p.Now.Before(old.Published) {
		return Report{}, fmt.Errorf("the last publication was at %s, after this one's time, %s: apt ignores indexes that are older than what it has (is the clock right?)", old.Published, p.Now)
	}
	if report.Unchanged, err = r.upToDate(old.Ledger, report.Added, p); err != nil || report.Unchanged {
		return report, err
	}
	var next Ledger
	next, report.Retired = old.next(report.Added, p.Now)
	report.Until = next.Until
	_, err = r.apply(ctx, next, files, p.Page)
	return report, err
}

// opened is the ledger as it was found.
type opened struct {
	Ledger
	pending bool
}

// open reads and verifies the ledger, and sees that all it offers is there. The
// first publication has none.
func (r Repository) open() (opened, error) {
	l, pending, err := load(r.path("."), r.Trusted)
	if errors.Is(err, fs.ErrNotExist) {
		return opened{}, r.isNew()
	}
	if err != nil {
		return opened{}, err
	}
	var errs []error
	for _, f := range l.Files {
		info, err := os.Stat(r.path(f.Path))
		if err == nil && info.Size() != f.Size {
			err = fmt.Errorf("%s has %d bytes, and was published with %d", f.Path, info.Size(), f.Size)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("a published file is not what it was: %w (put the published one back)", err))
		}
	}
	return opened{l, pending}, errors.Join(errs...)
}

// isNew is an error if something was published in a tree without a ledger.
func (r Repository) isNew() error {
	published := []string{dists + "/InRelease"}
	for _, folder := range RPMFolders {
		published = append(published, string(inRPM)+"/"+folder+"/"+repodata)
	}
	for _, name := range published {
		if _, err := os.Lstat(r.path(name)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is %s, but no %s: put it back, or publish all versions into an empty folder", name, ledgerName)
		}
	}
	return nil
}

// upToDate says whether there is nothing to do.
func (r Repository) upToDate(old Ledger, added []File, p Publication) (bool, error) {
	if len(added) > 0 {
		return false, nil
	}
	if len(old.Files) == 0 {
		return false, errors.New("there is nothing to publish: build and sign a version first")
	}
	for name, content := range r.Keys {
		if have, err := os.ReadFile(r.path(name)); err != nil || !bytes.Equal(have, content) {
			return false, nil
		}
	}
	return !p.Refresh && old.Until.Sub(p.Now) >= renewal, nil
}

// next is the ledger after a publication.
func (l Ledger) next(added []File, now time.Time) (next Ledger, retired []File) {
	next = Ledger{Published: now, Until: now.Add(lifetime)}
	next.Files, retired = retain(append(l.where(func(File) bool { return true }), added...), now)
	slices.SortFunc(next.Files, compareFiles)
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
		if !now.After(k.Until.Add(slack)) {
			next.Kept = append(next.Kept, k)
		}
	}
	return next, retired
}
