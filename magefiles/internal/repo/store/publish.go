package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Publisher brings a tree to a store.
type Publisher struct {
	Tree    tree.Tree
	Keys    map[string][]byte // files with certificates, by path
	Trusted ledger.Verifier
	Public  string    // what the public log calls itself
	Log     io.Writer // what was done, a line each
	// Dry says on Log what would be sent and removed, and changes nothing.
	Dry bool
}

// Report is what a publication did.
type Report struct {
	Unchanged bool // all was there
	Files     int  // that were sent
	Bytes     int64
	Removed   int // files
}

// Publish makes a store what the tree is.
//
// The files that never change come first, then those that are in the way of a client, in
// the order in which the tree itself gets them (layout.Order). Before the first of these,
// the plan says what is coming: it is put in the place of just the plan that was read, so
// that of two publications one is refused, and it tells the next one what a run that was
// cut off has left to do. What no client reads any more is removed at the end.
func (p Publisher) Publish(ctx context.Context, to Store) (Report, error) {
	var report Report
	err := p.locked(ctx, to, func() error {
		now, err := p.prepare(ctx, to)
		if err == nil && !now.report.Unchanged && !p.Dry {
			err = now.run(ctx)
		}
		if now != nil {
			report = now.report
		}
		return err
	})
	if err != nil {
		return report, fmt.Errorf("publishing %s to %s: %w", p.Tree.Dir, to, err)
	}
	return report, nil
}

// locked does something while nobody else changes the tree, nor the store where that can
// be locked.
func (p Publisher) locked(ctx context.Context, to Store, do func() error) error {
	if other, ok := to.(directory); ok && sameFolder(other.Dir, p.Tree.Dir) {
		return errors.New("that is the tree itself: give another folder")
	}
	unlock, err := p.Tree.Lock(ctx, p.Log)
	if err != nil {
		return err
	}
	defer unlock()
	free, err := to.Lock(ctx, p.Log)
	if err != nil {
		return err
	}
	defer free()
	return do()
}

func sameFolder(a, b string) bool {
	one, err1 := os.Stat(a)
	other, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// publication is one that goes on.
type publication struct {
	Publisher
	to     Store
	before state
	next   ledger.Ledger
	plan   plan
	mark   string // of the plan
	// early are the files that never change, each group after the one before; late those
	// that always have the same name, after the new tiles of the log.
	early, late [][]File

	mu       sync.Mutex
	progress *host.Progress
	report   Report
}

// prepare finds what is to do.
func (p Publisher) prepare(ctx context.Context, to Store) (*publication, error) {
	next, pending, err := ledger.Open(p.Tree.Path("."), p.Trusted)
	if err == nil && pending {
		err = errors.New("it is not done: its publication was cut off; finish it with repo:sync or repo:build")
	}
	if err != nil {
		return nil, err
	}
	if err := transparency.Whole(p.Public, p.Tree.Read, p.Trusted, next.Log, false); err != nil {
		return nil, err
	}
	now := &publication{Publisher: p, to: to, next: next}
	if now.before, err = read(ctx, to, p.Trusted); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(p.Tree.Path(ledger.Name))
	if err != nil {
		return nil, err
	}
	if now.plan.Signature, err = os.ReadFile(p.Tree.Path(ledger.SignatureName)); err != nil {
		return nil, err
	}
	now.plan.Ledger = artifact.DigestBytes(content)
	now.report.Unchanged = now.plan.Ledger == now.before.plan.Ledger && now.before.plan.Done
	if now.report.Unchanged {
		fmt.Fprintf(p.Log, "%s is as new as %s: nothing is to be sent\n", to, p.Tree.Dir)
		return now, nil
	}
	if err := now.follows(); err != nil {
		return nil, err
	}
	return now, now.list(content)
}

// errAgain is what to do where the store has more than the tree.
var errAgain = errors.New("run repo:sync again, which brings in what is published there, and then repo:publish")

// follows is an error unless the tree has all that the store has.
func (p *publication) follows() error {
	if p.next.Published.Before(p.before.ledger.Published) {
		return fmt.Errorf("what is published there is of %s, after this tree, which is of %s: %w", p.before.ledger.Published.Format(time.RFC3339), p.next.Published.Format(time.RFC3339), errAgain)
	}
	if name := p.next.Lacks(p.before.ledger); name != "" {
		return fmt.Errorf("this tree lacks %s, which is published there: %w", name, errAgain)
	}
	return nil
}

// list lists the files, content being the ledger's.
func (p *publication) list(content []byte) error {
	keys := slices.Sorted(maps.Keys(p.Keys))
	packed, err := pack(p.Tree, p.next, keys)
	if err != nil {
		return err
	}
	p.plan.Reads, p.plan.Keys = packed.Name, keys
	order := layout.Order(p.next, p.Keys)
	for _, group := range order[:2] { // packages and records, and indexes by digest
		files, err := p.fresh(group)
		if err != nil {
			return err
		}
		p.early = append(p.early, files)
	}
	own := []File{packed, fileOf(ledger.RecordPath(p.plan.Ledger), content, true)}
	p.early[1] = append(p.early[1], slices.DeleteFunc(own, func(f File) bool { return p.before.vouched()[f.Name] })...)
	tiles, err := p.fresh(order[2])
	if err != nil {
		return err
	}
	p.late = append(p.late, tiles)
	for _, group := range order[3:] {
		var files []File
		for _, name := range group {
			content, err := os.ReadFile(p.Tree.Path(name))
			if err != nil {
				return fmt.Errorf("%w (was the tree made here? %w)", err, errAgain)
			}
			files = append(files, fileOf(name, content, false))
		}
		p.late = append(p.late, files)
	}
	p.plan.Remove = p.before.unneeded(p.next, p.plan)
	p.announce()
	return nil
}

// fresh are the files of a group that the store does not have.
func (p *publication) fresh(group []string) (files []File, err error) {
	there, sums := maps.Clone(p.before.vouched()), p.sums()
	if there == nil {
		there = map[string]bool{}
	}
	for _, name := range group {
		if there[name] {
			continue
		}
		there[name] = true // what is in several folders has one record
		from := p.Tree.Path(name)
		sum, size, err := artifact.Digest(from)
		if errors.Is(err, fs.ErrNotExist) && p.keeps(name) {
			p.plan.Absent = append(p.plan.Absent, name)
			continue
		}
		if err == nil && sum != sums[name] {
			err = fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, and was published with %s (put the published one back)", from, sum, sums[name])
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: it is not here, and not there: publish where the tree was fetched from, or remove the folder and fetch all of it", err)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: name, SHA256: sum, Size: size, Unchanging: true, from: from})
	}
	return files, nil
}

// keeps says whether a name is of an index file that need not ever have been there.
func (p *publication) keeps(name string) bool {
	return slices.ContainsFunc(p.next.Kept, func(k ledger.Kept) bool { return k.Path == name })
}

// sums are the digests of all that never changes.
func (p *publication) sums() map[string]string {
	sums := map[string]string{}
	for _, f := range p.next.All() {
		sums[f.Path], sums[ledger.RecordPath(f.Record)] = f.SHA256, f.Record
	}
	for _, g := range p.next.Tombstones {
		sums[g.Path] = g.SHA256
	}
	for _, k := range p.next.Kept {
		sums[k.Path] = k.SHA256()
	}
	for _, name := range layout.Logged(p.next) { // the log was verified
		sums[name], _, _ = artifact.Digest(p.Tree.Path(name))
	}
	return sums
}

// announce says what is to be done.
func (p *publication) announce() {
	files, size := 0, int64(0)
	for _, file := range slices.Concat(p.early...) {
		files, size = files+1, size+file.Size
		if p.Dry {
			fmt.Fprintf(p.Log, "would send %s, %d bytes\n", file.Name, file.Size)
		}
	}
	late := slices.Concat(p.late...)
	if p.Dry {
		for _, file := range late {
			fmt.Fprintf(p.Log, "would put %s in the place of the one before\n", file.Name)
		}
		for _, name := range p.plan.Remove {
			fmt.Fprintf(p.Log, "would remove %s\n", name)
		}
	}
	fmt.Fprintf(p.Log, "%s: %d new files, %.1f MB; %d that change; %d that nobody reads any more\n", p.to, files, float64(size)/1e6, len(late), len(p.plan.Remove))
	p.progress = host.NewProgress(p.Log, "sent", files+len(late))
}

// run does it.
func (p *publication) run(ctx context.Context) error {
	for _, files := range p.early {
		if err := p.put(ctx, files); err != nil {
			return err
		}
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	if err := p.to.Note(ctx, names(slices.Concat(p.late...))); err != nil {
		return err
	}
	for _, files := range p.late {
		if err := p.switchOver(ctx, files); err != nil {
			return err
		}
	}
	return p.end(ctx)
}

// names are those of the files that change.
func names(files []File) (names []string) {
	for _, file := range files {
		if !file.Unchanging {
			names = append(names, file.Name)
		}
	}
	return names
}

// put puts a group of files.
func (p *publication) put(ctx context.Context, files []File) error {
	if len(files) == 0 {
		return nil
	}
	return p.to.Put(ctx, files, func(name string, sent int64) {
		p.progress.Tell(name, sent)
		p.mu.Lock()
		defer p.mu.Unlock()
		if sent > 0 {
			p.report.Files++
			p.report.Bytes += sent
		}
	})
}

// begin puts the plan in the place of the one that was read.
func (p *publication) begin(ctx context.Context) (err error) {
	p.mark = p.before.mark
	if p.plan.Ledger != p.before.plan.Ledger {
		p.mark, err = p.to.Replace(ctx, p.plan.file(), p.before.mark)
	} else { // it was cut off
		fmt.Fprintf(p.Log, "finishing the publication of %s, which was cut off\n", p.next.Published.Format(time.DateTime))
		p.plan = p.before.plan
	}
	if errors.Is(err, errOvertaken) {
		return fmt.Errorf("another publication has begun there meanwhile, and nothing of this one was put into the indexes: %w", errAgain)
	}
	if err != nil {
		return err
	}
	exclusive, err := p.to.Exclusive(ctx, p.plan.file())
	if err == nil && !exclusive {
		fmt.Fprintf(p.Log, "WARNING: %s knows no conditions (If-Match, If-None-Match), or ignores them: of two publications at once, one can be lost. See that there is only one.\n", p.to)
	}
	return err
}

// switchOver puts files in the place of those before. Where somebody else changes them, the
// publication goes on that has begun last.
func (p *publication) switchOver(ctx context.Context, files []File) (err error) {
	for range 5 {
		if err = p.put(ctx, files); !errors.Is(err, errOvertaken) {
			return err
		}
		if err := p.stillOurs(ctx); err != nil {
			return err
		}
		if err := p.to.Note(ctx, names(files)); err != nil {
			return err
		}
	}
	return err
}

// stillOurs is an error if another publication has begun.
func (p *publication) stillOurs(ctx context.Context) error {
	content, _, err := p.to.Read(ctx, planName)
	if err == nil && artifact.DigestBytes(content) != p.plan.file().SHA256 {
		err = fmt.Errorf("another publication has begun there, which goes on from this one: %w", errAgain)
	}
	return err
}

// end removes what nobody reads any more, and says in the plan that all is done.
func (p *publication) end(ctx context.Context) error {
	if err := p.stillOurs(ctx); err != nil {
		return err
	}
	unneeded := slices.DeleteFunc(slices.Clone(p.plan.Remove), func(name string) bool { return !owned(name) })
	if len(unneeded) > 0 {
		if err := p.to.Remove(ctx, unneeded); err != nil {
			return err
		}
		p.report.Removed = len(unneeded)
	}
	p.plan.Remove, p.plan.Done = nil, true
	_, err := p.to.Replace(ctx, p.plan.file(), p.mark)
	if errors.Is(err, errOvertaken) {
		return fmt.Errorf("another publication has begun there, which goes on from this one: %w", errAgain)
	}
	return err
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
