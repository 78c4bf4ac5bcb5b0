// Package mirror brings a repository that is published into a folder.
package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Mirror is a folder for what is published.
type Mirror struct {
	Tree    tree.Tree // its time is not used: each file gets that of its publication
	Trusted ledger.Verifier
	Public  string            // what the public log calls itself
	Keys    map[string][]byte // files with certificates, by path; their content is not used
	Log     io.Writer         // gets a line for each thing that was done
	// Patience is Usual where it is not set.
	Patience host.Patience
}

// Fetch brings the tree that is published at address, https://HOST/PATH, into
// the folder, and gives its ledger, whose signature is verified before anything
// in it is believed. A fetch that is cut off anywhere is done again by the next
// one, which keeps the files that have come.
//
// A tree that is in the folder already is kept if it is as new as the published
// one: it is what an earlier run made and did not bring to the host, or the host
// was put back. It must then know all that is published, or else publishing it
// would take files away that clients have seen: that is an error. An older one is
// replaced, since what was never public binds nobody.
//
// The host may also give an older ledger, with a right signature, to a machine
// that has none: that cannot be known here. What then holds is this. All that is
// signed has the time of the publication, so clients get newer indexes than they
// ever had, or their old ones. What the old ledger lacks was released, so it is
// published again, with the same bytes: those of the release. Only its day of
// publication is another, and names that were retired since are forgotten.
//
// Where nothing is published at address, it is an error, unless first says that
// nothing ever was; then the ledger is that of the folder, if it has one. It is
// also an error if first is not true any more.
func (m Mirror) Fetch(ctx context.Context, address string, first bool) (ledger.Ledger, error) {
	from, err := m.host(address)
	if err != nil {
		return ledger.Ledger{}, err
	}
	home, err := ledger.LoadHome(m.Tree.Path("."))
	if err == nil && home != (ledger.Home{}) {
		err = fmt.Errorf("of the repository a part only is in %s, and the rest at %s: remove the folder and run again", m.Tree.Dir, home.Address)
	}
	if err != nil {
		return ledger.Ledger{}, err
	}
	return m.FetchFrom(ctx, site{m, from}, first)
}

// Source is where a tree is published.
type Source interface {
	fmt.Stringer
	// Published is the ledger there, whose signature was verified. The error wraps
	// fs.ErrNotExist where nothing is published.
	Published(ctx context.Context) (ledger.Ledger, ledger.Signed, error)
	// Take brings what is published into the tree, the ledger last.
	Take(ctx context.Context, to tree.Tree, l ledger.Ledger, signed ledger.Signed) error
}

// FetchFrom is Fetch, from any source.
func (m Mirror) FetchFrom(ctx context.Context, from Source, first bool) (ledger.Ledger, error) {
	unlock, err := m.Tree.Lock(ctx, m.Log)
	if err != nil {
		return ledger.Ledger{}, err
	}
	defer unlock()
	l, err := m.bring(ctx, from, first)
	if err != nil {
		return ledger.Ledger{}, fmt.Errorf("fetching the repository at %s: %w", from, m.explain(err))
	}
	return l, nil
}

// site is a web host that serves the tree.
type site struct {
	Mirror
	host.Host
}

// Published reads the ledger.
func (s site) Published(ctx context.Context) (ledger.Ledger, ledger.Signed, error) {
	l, signed, err := s.published(ctx, s.Host)
	if host.NotThere(err, ledger.Name) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return l, signed, err
}

// Take fetches the whole tree.
func (s site) Take(ctx context.Context, _ tree.Tree, l ledger.Ledger, signed ledger.Signed) error {
	return s.take(ctx, s.Host, l, signed)
}

func (m Mirror) host(address string) (host.Host, error) {
	patience := m.Patience
	if patience == (host.Patience{}) {
		patience = host.Usual
	}
	return host.New(address, patience, m.Log)
}

func (m Mirror) explain(err error) error { return artifact.Explain(err, m.Tree.Path(".")) }

func (m Mirror) bring(ctx context.Context, from Source, first bool) (ledger.Ledger, error) {
	have, err := ledger.Load(m.Tree.Path("."), m.Trusted)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ledger.Ledger{}, err
	}
	published, signed, err := from.Published(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist) && first:
		return have, nil
	case errors.Is(err, fs.ErrNotExist):
		return ledger.Ledger{}, fmt.Errorf("%w: find out where it has gone; only if nothing was ever published there, make the first publication with -first", err)
	case err != nil:
		return ledger.Ledger{}, err
	case first:
		return ledger.Ledger{}, fmt.Errorf("there is one already, published at %s: leave out -first", published.Published.Format(time.RFC3339))
	}
	if stays, err := m.stays(have, published); err != nil || stays {
		return have, err
	}
	return published, from.Take(ctx, m.Tree, published, signed)
}

// Sample fetches some of the files that are published at address, https://HOST/PATH, into
// the folder, at their places in the tree; it makes no repository of them. choose takes
// them out of all that the ledger offers, whose signature is verified before, and each
// has the digest that it says. The error wraps fs.ErrNotExist where nothing is published
// at address.
func (m Mirror) Sample(ctx context.Context, address string, choose func([]ledger.File) []ledger.File) ([]ledger.File, error) {
	from, err := m.host(address)
	if err != nil {
		return nil, err
	}
	l, _, err := site{m, from}.Published(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is published at %s: %w", address, err)
	}
	chosen := choose(l.Files)
	var files []wanted
	for _, f := range chosen {
		files = append(files, want(f.Path, f.SHA256, f.Size, f.Published))
	}
	if err := check(files); err != nil {
		return nil, fmt.Errorf("the ledger that is published at %s: %w", address, err)
	}
	f := m.fetching(from, len(files))
	if err := f.all(ctx, files); err != nil {
		return nil, fmt.Errorf("fetching from %s: %w", address, m.explain(err))
	}
	return chosen, nil
}

// published reads the ledger at the host. It is read anew with its signature
// where the two do not fit: the host may just be changing them.
func (m Mirror) published(ctx context.Context, from host.Host) (l ledger.Ledger, signed ledger.Signed, err error) {
	err = from.Signed(ctx, ledger.Name, func(content, signature []byte, err error) error {
		if err == nil {
			err = m.Trusted.Detached(bytes.NewReader(content), signature)
		}
		if err != nil {
			return fmt.Errorf("it is not a ledger that a trusted key has signed: %w (publish an earlier copy of the whole tree again, or give the key's certificate with -trust)", err)
		}
		signed = ledger.Signed{Ledger: content, Signature: signature}
		return json.Unmarshal(content, &l)
	})
	return l, signed, err
}

// stays says whether the folder's ledger stays, compared with the published one.
func (m Mirror) stays(have, published ledger.Ledger) (bool, error) {
	if have.Published.Before(published.Published) {
		return false, nil
	}
	if name := have.Lacks(published); name != "" {
		return false, fmt.Errorf("what is in %s was made at %s, after what is published there, and without its %s: the two have parted. Remove the folder and run again", m.Tree.Dir, have.Published.Format(time.RFC3339), name)
	}
	fmt.Fprintf(m.Log, "keep %s: it is as new as what is published\n", m.Tree.Dir)
	return true, nil
}

// wanted is one file to fetch.
type wanted struct {
	host.File
	at time.Time // its time in the tree
	// may is true of a file that need not be there.
	may bool
}

// want is a file that has to be there.
func want(path, sha256 string, size int64, at time.Time) wanted {
	return wanted{File: host.File{Path: path, SHA256: sha256, Size: size}, at: at}
}

// take fetches the tree of a ledger. The ledger comes last: until then the folder
// is no repository.
func (m Mirror) take(ctx context.Context, from host.Host, l ledger.Ledger, signed ledger.Signed) error {
	if err := Check(l); err != nil {
		return err
	}
	files := named(l)
	others := m.unnamed(l)
	f := m.fetching(from, len(files)+len(others))
	fmt.Fprintf(m.Log, "fetch %d files of %s\n", f.progress.Of, from)
	if err := f.all(ctx, files); err != nil {
		return err
	}
	// From here on an older ledger would be one of other indexes.
	for _, name := range []string{ledger.PendingName, ledger.Name} {
		if err := os.Remove(m.Tree.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := f.all(ctx, others); err != nil {
		return err
	}
	if err := transparency.Whole(m.Public, m.Tree.Read, m.Trusted, l.Log, false); err != nil {
		return err
	}
	if err := layout.Sweep(m.Tree, l, m.Keys); err != nil {
		return err
	}
	to := m.Tree
	to.At = l.Published
	return signed.Put(to)
}

// named are the files whose digests the ledger, or their name in it, tells.
func named(l ledger.Ledger) []wanted {
	var files []wanted
	for _, f := range l.All() {
		files = append(files, want(f.Path, f.SHA256, f.Size, f.Published))
		if f.Record != "" {
			files = append(files, want(ledger.RecordPath(f.Record), f.Record, host.Limit, f.Published))
		}
	}
	needed := l.Needed()
	for _, g := range l.Tombstones {
		if needed[g.Path] {
			files = append(files, want(g.Path, g.SHA256, g.Size, g.Published))
		}
	}
	for _, k := range l.Kept {
		w := want(k.Path, k.SHA256(), host.Limit, k.Written())
		w.may = true // one of a publication that was cut off need not ever have been there
		files = append(files, w)
	}
	return files
}

// unnamed are the files that every publication makes anew. They are taken as
// they are: nothing that is signed is made of them unseen.
func (m Mirror) unnamed(l ledger.Ledger) []wanted {
	var files []wanted
	for _, name := range layout.Logged(l) {
		files = append(files, want(name, "", host.Limit, transparency.Time))
	}
	// An archive of former days has no log, one page, and fewer architectures.
	absent := slices.Concat(layout.Void(l), layout.Pages, layout.Said(l), []string{transparency.Checkpoint})
	for _, name := range append(layout.Fixed(l), layout.Pages...) {
		w := want(name, "", host.Limit, l.Published)
		w.may = slices.Contains(absent, name)
		files = append(files, w)
	}
	for name := range m.Keys {
		w := want(name, "", host.Limit, l.Published)
		w.may = true // a new one is not there yet
		files = append(files, w)
	}
	return files
}

var (
	pathForm   = regexp.MustCompile(`^(?:` + strings.Join(layout.Owned(), "|") + `)(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Check is an error if a published ledger names a file where none of the repository belongs.
func Check(l ledger.Ledger) error {
	if err := check(named(l)); err != nil {
		return fmt.Errorf("the published ledger: %w", err)
	}
	return nil
}

// check is an error if a file is to be written where none of the repository
// belongs, or two are to be at one place. The ledger is ours; but a slip in it, or
// a stolen key, shall not reach the rest of the machine.
func check(files []wanted) error {
	seen := map[string]string{}
	for _, w := range files {
		before, twice := seen[w.Path]
		seen[w.Path] = w.SHA256
		switch {
		case !pathForm.MatchString(w.Path):
			return fmt.Errorf("%.200q is no path of a repository's file", w.Path)
		case !digestForm.MatchString(w.SHA256):
			return fmt.Errorf("%s has no SHA-256, but %.80q", w.Path, w.SHA256)
		case w.Size < 0:
			return fmt.Errorf("%s has %d bytes", w.Path, w.Size)
		case twice && before != w.SHA256:
			return fmt.Errorf("%s is there twice, with the SHA-256 %s and %s", w.Path, before, w.SHA256)
		}
	}
	return nil
}

// fetching is one fetch of a tree.
type fetching struct {
	Mirror
	from     host.Host
	progress *host.Progress
}

func (m Mirror) fetching(from host.Host, files int) *fetching {
	return &fetching{m, from, host.NewProgress(m.Log, "fetched", files)}
}

// all fetches files, several at once.
func (f *fetching) all(ctx context.Context, files []wanted) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(host.Width)
	for _, w := range files {
		group.Go(func() error {
			if err := ctx.Err(); err != nil { // another has failed
				return context.Cause(ctx)
			}
			return f.one(ctx, w)
		})
	}
	return group.Wait()
}

// one fetches one file, unless it is there already.
func (f *fetching) one(ctx context.Context, w wanted) error {
	to, size := f.Tree.Path(w.Path), int64(0)
	if sum, _, err := artifact.Digest(to); err != nil || sum != w.SHA256 {
		if err := f.Tree.Folder(path.Dir(w.Path)); err != nil {
			return err
		}
		err := f.from.Get(ctx, w.Path, func(body io.Reader) error {
			return artifact.Write(to, 0o644, func(out io.Writer) (err error) {
				size, err = w.Copy(out, body)
				return err
			})
		})
		if host.NotThere(err, w.Path) && w.may {
			f.progress.Tell(w.Path, 0)
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.progress.Tell(w.Path, size)
	at := f.Tree
	at.At = w.at
	return at.Wrote("fetched", w.Path)
}
