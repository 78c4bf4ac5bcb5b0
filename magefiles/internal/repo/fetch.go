package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

const (
	// limit bounds, in bytes, the files whose size the ledger does not say: the
	// ledger itself, records, index files. It is far above any of them.
	limit = 64 << 20
	// width is how many files are fetched side by side.
	width = 8
	// telling is how long nothing is said of a fetch that goes on.
	telling = 5 * time.Second
)

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
func (r Repository) Fetch(ctx context.Context, address string, first bool) (Ledger, error) {
	return r.fetch(ctx, address, first, usual)
}

func (r Repository) fetch(ctx context.Context, address string, first bool, p patience) (Ledger, error) {
	from, err := newHost(address, p, r.Log)
	if err != nil {
		return Ledger{}, err
	}
	unlock, err := r.lock(ctx)
	if err != nil {
		return Ledger{}, err
	}
	defer unlock()
	l, err := r.bring(ctx, from, first)
	if err != nil {
		return Ledger{}, fmt.Errorf("fetching the repository at %s: %w", address, artifact.Explain(err, r.path(".")))
	}
	return l, nil
}

func (r Repository) bring(ctx context.Context, from host, first bool) (Ledger, error) {
	have, err := Load(r.path("."), r.Trusted)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Ledger{}, err
	}
	published, signed, err := r.published(ctx, from)
	switch {
	case notThere(err, ledgerName) && first:
		return have, nil
	case notThere(err, ledgerName):
		return Ledger{}, fmt.Errorf("%w: find out where it has gone; only if nothing was ever published there, make the first publication with -first", err)
	case err != nil:
		return Ledger{}, err
	case first:
		return Ledger{}, fmt.Errorf("there is one already, published at %s: leave out -first", published.Published.Format(time.RFC3339))
	}
	if stays, err := r.stays(have, published); err != nil || stays {
		return have, err
	}
	return published, r.take(ctx, from, published, signed)
}

// Sample fetches some of the files that are published at address, https://HOST/PATH, into
// the folder, at their places in the tree; it makes no repository of them. choose takes
// them out of all that the ledger offers, whose signature is verified before, and each
// has the digest that it says. The error wraps fs.ErrNotExist where nothing is published
// at address.
func (r Repository) Sample(ctx context.Context, address string, choose func([]File) []File) ([]File, error) {
	return r.sample(ctx, address, choose, usual)
}

func (r Repository) sample(ctx context.Context, address string, choose func([]File) []File, p patience) ([]File, error) {
	from, err := newHost(address, p, r.Log)
	if err != nil {
		return nil, err
	}
	l, _, err := r.published(ctx, from)
	if notThere(err, ledgerName) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is published at %s: %w", address, err)
	}
	chosen := choose(l.Files)
	var files []wanted
	for _, f := range chosen {
		files = append(files, wanted{path: f.Path, sha256: f.SHA256, size: f.Size, at: f.Published})
	}
	if err := check(files); err != nil {
		return nil, fmt.Errorf("the ledger that is published at %s: %w", address, err)
	}
	f := &fetching{Repository: r, from: from, of: len(files), told: time.Now()}
	if err := f.all(ctx, files); err != nil {
		return nil, fmt.Errorf("fetching from %s: %w", address, artifact.Explain(err, r.path(".")))
	}
	return chosen, nil
}

// published reads the ledger at the host. It is read anew with its signature
// where the two do not fit: the host may just be changing them.
func (r Repository) published(ctx context.Context, from host) (l Ledger, signed signedLedger, err error) {
	err = from.get(ctx, ledgerName, func(body io.Reader) (err error) {
		if signed.Ledger, err = readAll(body); err != nil {
			return err
		}
		err = from.get(ctx, ledgerName+".asc", func(body io.Reader) (err error) {
			signed.Signature, err = readAll(body)
			return err
		})
		if err == nil {
			err = r.Trusted.Detached(bytes.NewReader(signed.Ledger), signed.Signature)
		}
		if err != nil {
			return fmt.Errorf("it is not a ledger that a trusted key has signed: %w (publish an earlier copy of the whole tree again, or give the key's certificate with -trust)", err)
		}
		return json.Unmarshal(signed.Ledger, &l)
	})
	return l, signed, err
}

func readAll(body io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && len(content) > limit {
		err = fmt.Errorf("it has more than %d bytes", limit)
	}
	return content, err
}

// stays says whether the folder's ledger stays, compared with the published one.
func (r Repository) stays(have, published Ledger) (bool, error) {
	if have.Published.Before(published.Published) {
		return false, nil
	}
	known, taken := have.taken(), published.taken()
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		if known[name] != taken[name] {
			return false, fmt.Errorf("what is in %s was made at %s, after what is published there, and without its %s: the two have parted. Remove the folder and run again", r.Dir, have.Published.Format(time.RFC3339), name)
		}
	}
	fmt.Fprintf(r.Log, "keep %s: it is as new as what is published\n", r.Dir)
	return true, nil
}

// wanted is one file to fetch.
type wanted struct {
	path   string
	sha256 string    // empty where nothing tells it
	size   int64     // bytes, at most
	at     time.Time // its time in the tree: see Repository.at
	// may is true of a file that need not be there.
	may bool
}

// take fetches the tree of a ledger. The ledger comes last: until then the folder
// is no repository.
func (r Repository) take(ctx context.Context, from host, l Ledger, signed signedLedger) error {
	files := r.named(l)
	if err := check(files); err != nil {
		return fmt.Errorf("the published ledger: %w", err)
	}
	others := r.unnamed(l)
	f := &fetching{Repository: r, from: from, of: len(files) + len(others), told: time.Now()}
	fmt.Fprintf(r.Log, "fetch %d files of %s\n", f.of, from.at)
	if err := f.all(ctx, files); err != nil {
		return err
	}
	// From here on an older ledger would be one of other indexes.
	for _, name := range []string{pendingName, ledgerName} {
		if err := os.Remove(r.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := f.all(ctx, others); err != nil {
		return err
	}
	if err := r.sweep(l); err != nil {
		return err
	}
	r.at = l.Published
	return r.putLedger(built{pending: signed})
}

// named are the files whose digests the ledger, or their name in it, tells.
func (r Repository) named(l Ledger) []wanted {
	var files []wanted
	for _, f := range l.Files {
		files = append(files, wanted{path: f.Path, sha256: f.SHA256, size: f.Size, at: f.Published})
		if f.Record != "" {
			files = append(files, wanted{path: recordPath(f.Record), sha256: f.Record, size: limit, at: f.Published})
		}
	}
	needed := l.needed()
	for _, g := range l.Tombstones {
		if needed[g.Path] {
			files = append(files, wanted{path: g.Path, sha256: g.SHA256, size: g.Size, at: g.Published})
		}
	}
	for _, k := range l.Kept {
		// One of a publication that was cut off need not ever have been there.
		files = append(files, wanted{path: k.Path, sha256: digestOf(k.Path), size: limit, at: k.Until.Add(-lifetime), may: true})
	}
	return files
}

// digestIn is where the name of a kept index file has its digest.
var digestIn = regexp.MustCompile(`/(?:by-hash/SHA256/([0-9a-f]{64})|` + repodata + `/([0-9a-f]{64})-[a-z]+\.xml\.gz)$`)

func digestOf(kept string) string {
	if match := digestIn.FindStringSubmatch(kept); match != nil {
		return match[1] + match[2]
	}
	return ""
}

// unnamed are the files that every publication makes anew. They are taken as
// they are: nothing that is signed is made of them unseen.
func (r Repository) unnamed(l Ledger) []wanted {
	files := []wanted{{path: "index.html", size: limit, at: l.Published}}
	for _, name := range fixed() {
		files = append(files, wanted{path: name, size: limit, at: l.Published})
	}
	for name := range r.Keys { // a new one is not there yet
		files = append(files, wanted{path: name, size: limit, at: l.Published, may: true})
	}
	return files
}

var (
	pathForm   = regexp.MustCompile(`^(?:` + strings.Join(owned, "|") + `)(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+$`)
	digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// check is an error if a file is to be written where none of the repository
// belongs, or two are to be at one place. The ledger is ours; but a slip in it, or
// a stolen key, shall not reach the rest of the machine.
func check(files []wanted) error {
	seen := map[string]string{}
	for _, w := range files {
		before, twice := seen[w.path]
		seen[w.path] = w.sha256
		switch {
		case !pathForm.MatchString(w.path):
			return fmt.Errorf("%.200q is no path of a repository's file", w.path)
		case !digestForm.MatchString(w.sha256):
			return fmt.Errorf("%s has no SHA-256, but %.80q", w.path, w.sha256)
		case w.size < 0:
			return fmt.Errorf("%s has %d bytes", w.path, w.size)
		case twice && before != w.sha256:
			return fmt.Errorf("%s is there twice, with the SHA-256 %s and %s", w.path, before, w.sha256)
		}
	}
	return nil
}

// fetching is one fetch of a tree.
type fetching struct {
	Repository
	from host
	of   int // files

	mu    sync.Mutex
	done  int // files
	bytes int64
	told  time.Time
}

// all fetches files, several at once.
func (f *fetching) all(ctx context.Context, files []wanted) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
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
	to, size := f.path(w.path), int64(0)
	if sum, _, err := artifact.Digest(to); err != nil || sum != w.sha256 {
		if err := f.folder(path.Dir(w.path)); err != nil {
			return err
		}
		err := f.from.get(ctx, w.path, func(body io.Reader) error {
			return artifact.Write(to, 0o644, func(out io.Writer) (err error) {
				size, err = w.copy(out, body)
				return err
			})
		})
		if notThere(err, w.path) && w.may {
			f.tell(w, 0)
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.tell(w, size)
	at := f.Repository
	at.at = w.at
	return errors.Join(at.stamp(to), f.changed("fetched "+w.path))
}

// copy writes what comes, no more than it may be, and compares it.
func (w wanted) copy(to io.Writer, body io.Reader) (int64, error) {
	sum, n, err := web.Copy(to, body, w.size)
	switch {
	case err != nil:
		return n, fmt.Errorf("after %d bytes: %w", n, err)
	case n > w.size:
		return n, fmt.Errorf("it has more than %d bytes", w.size)
	case w.sha256 != "" && sum != w.sha256:
		return n, fmt.Errorf("checksum mismatch: it has %d bytes with the SHA-256 %s, and %s was published", n, sum, w.sha256)
	}
	return n, nil
}

// tell says from time to time, and at the end, how far it is.
func (f *fetching) tell(w wanted, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done++
	f.bytes += size
	if f.done == f.of || time.Since(f.told) > telling {
		f.told = time.Now()
		fmt.Fprintf(f.Log, "fetched %d of %d, %.1f MB: %s\n", f.done, f.of, float64(f.bytes)/1e6, w.path)
	}
}
