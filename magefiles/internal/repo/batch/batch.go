// Package batch looks at files that somebody wants published: whether they are what
// they say, whether they are new, and where they go.
package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// Batch is the files of one publication.
type Batch struct {
	// Source is the source after whose versions the folders are named.
	Source string
	// Names are those of all packages and sources that are published. Others are
	// refused, whoever has signed them.
	Names   []string
	Tree    tree.Tree
	Trusted index.Trusted

	ledger ledger.Ledger
	home   ledger.Home // of published files that are not here
	items  []*item
	// dirs are the items of each folder that they come from: a list of checksums
	// is about its own.
	dirs map[string][]*item
}

// item is one file that somebody wants published.
type item struct {
	index.File
	// known is true if it is offered already, gone if it was once.
	known, gone bool
}

// Read looks at the files to publish: their names, what is in those that are
// new, and that all of it agrees. Nothing is written.
func (b *Batch) Read(ctx context.Context, files []string, l ledger.Ledger) error {
	b.ledger, b.dirs = l, map[string][]*item{}
	var err error
	if b.home, err = ledger.LoadHome(b.Tree.Dir); err != nil {
		return err
	}
	if err := b.list(files); err != nil {
		return err
	}
	if err := b.compare(); err != nil {
		return err
	}
	if err := b.inspect(ctx); err != nil {
		return err
	}
	if err := errors.Join(b.others(), b.sums()); err != nil {
		return err
	}
	return errors.Join(b.checkSums(), b.checkParts())
}

// inspect has each kind of index look at the new files that it lists.
func (b *Batch) inspect(ctx context.Context) error {
	var errs []error
	for _, kind := range layout.Kinds() {
		var files []*index.File
		for _, it := range b.fresh(func(n index.Name) bool { return n.In == kind.Folder }) {
			files = append(files, &it.File)
		}
		errs = append(errs, kind.Inspect(ctx, files, b.Trusted))
	}
	return errors.Join(errs...)
}

// list reads the names and digests.
func (b *Batch) list(files []string) error {
	seen := map[string]string{}
	for _, file := range files {
		n, err := layout.Parse(filepath.Base(file))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if n.Package != "" && !slices.Contains(b.Names, n.Package) {
			return fmt.Errorf("%s is a file of %s, which is none of the packages that are published: %s", file, n.Package, strings.Join(b.Names, ", "))
		}
		sum, size, err := artifact.Digest(file)
		if err != nil {
			return fmt.Errorf("reading a file to publish: %w", err)
		}
		once := n.Package + " " + filepath.Base(file)
		if n.Package == "" { // checksums: each folder has its own
			once = file
		}
		if other, ok := seen[once]; ok {
			return fmt.Errorf("%s and %s have the same name: publish one of them", other, file)
		}
		seen[once] = file
		it := &item{File: index.File{Name: n, From: file, SHA256: sum, Size: size, Source: n.Package}}
		b.items = append(b.items, it)
		b.dirs[filepath.Dir(file)] = append(b.dirs[filepath.Dir(file)], it)
	}
	return nil
}

// compare finds what was published before: with the same bytes it is left
// alone, with others it is an error.
func (b *Batch) compare() error {
	var errs []error
	taken := b.ledger.Taken()
	for _, it := range b.items {
		if it.Package != "" { // checksums have their turn when it is known whose they are
			errs = append(errs, b.compareOne(it, it.Base(), taken))
		}
	}
	return errors.Join(errs...)
}

func (b *Batch) compareOne(it *item, key string, taken map[string]string) error {
	before, ok := taken[key]
	if !ok {
		return nil
	}
	if before != it.SHA256 {
		return fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, but %s was published with %s: what is published never changes; raise its release (a keyring package's version) and publish that, or build again what was published", it.From, it.SHA256, key, before)
	}
	offered := b.ledger.Find(key)
	it.known, it.gone = len(offered) > 0, len(offered) == 0
	for _, f := range offered {
		it.Source = f.Source
		if err := b.intact(f); err != nil {
			return err
		}
	}
	return nil
}

// intact compares a published file's bytes with what was published.
func (b *Batch) intact(f ledger.File) error {
	sum, _, err := artifact.Digest(b.Tree.Path(f.Path))
	if errors.Is(err, fs.ErrNotExist) && b.home.Has(f) {
		return nil // the ledger vouches for it
	}
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("checksum mismatch: its SHA-256 is %s, and %s was published", sum, f.SHA256)
	}
	if err != nil {
		return fmt.Errorf("the published file %s was changed: %w (put the published one back)", f.Path, err)
	}
	return nil
}

// fresh are the items that are new and that is says yes to.
func (b *Batch) fresh(is func(index.Name) bool) []*item {
	var found []*item
	for _, it := range b.items {
		if !it.known && !it.gone && is(it.Name) {
			found = append(found, it)
		}
	}
	return found
}

// others finds the source of what does not say it itself.
func (b *Batch) others() error {
	var errs []error
	for _, it := range b.fresh(func(n index.Name) bool { return n.Kind == ledger.SBOM }) {
		source, ok := b.sourceOf(it.Of)
		if !ok {
			errs = append(errs, fmt.Errorf("%s describes %s, which is not published: publish them together", it.From, it.Of))
		}
		it.Source = source
	}
	return errors.Join(errs...)
}

// sourceOf is the source of a file that is published now or was before.
func (b *Batch) sourceOf(file string) (string, bool) {
	for _, it := range b.items {
		if it.Base() == file && !it.gone {
			return it.Source, true
		}
	}
	if offered := b.ledger.Find(file); len(offered) > 0 {
		return offered[0].Source, true
	}
	return "", false
}

// sums finds whose the lists of checksums are.
func (b *Batch) sums() error {
	var errs []error
	taken := b.ledger.Taken()
	for dir, items := range b.dirs {
		if !slices.ContainsFunc(items, func(it *item) bool { return it.Package == "" }) {
			continue
		}
		of, gone, err := b.revision(items)
		if err != nil {
			errs = append(errs, fmt.Errorf("the checksums in %s: %w", dir, err))
			continue
		}
		for _, it := range items {
			if it.Package != "" {
				continue
			}
			it.Package, it.Source, it.Version, it.Release, it.gone = of.Source, of.Source, of.Version, of.Release, gone
			if !gone {
				errs = append(errs, b.compareOne(it, b.paths(it)[0], taken))
			}
		}
	}
	return errors.Join(errs...)
}

// revision is what the files of one folder are a revision of: of the
// repository's source where that is among them. gone is true if all are.
func (b *Batch) revision(items []*item) (of ledger.Revision, gone bool, err error) {
	var found []ledger.Revision
	for _, it := range items {
		if it.Package == "" || it.Release == 0 {
			continue
		}
		if !it.gone {
			found = append(found, it.revision())
		}
		gone = gone || it.gone
	}
	rank := func(e ledger.Revision) int {
		if e.Source == b.Source {
			return 0
		}
		return 1
	}
	slices.SortFunc(found, func(x, y ledger.Revision) int {
		return cmp.Or(rank(x)-rank(y), strings.Compare(x.Source, y.Source), x.Compare(y))
	})
	found = slices.Compact(found)
	switch {
	case len(found) == 0 && gone:
		return ledger.Revision{}, true, nil
	case len(found) == 0:
		return ledger.Revision{}, false, errors.New("there is no package beside them")
	case len(found) > 1 && found[0].Source == found[1].Source:
		return ledger.Revision{}, false, fmt.Errorf("they are of %s-%d and %s-%d: publish a folder for each version", found[0].Version, found[0].Release, found[1].Version, found[1].Release)
	}
	return found[0], false, nil
}

// checkSums compares what is published with the lists of checksums beside it: a
// file that changed, or was forgotten, after it was signed is not published.
func (b *Batch) checkSums() error {
	var errs []error
	for dir, items := range b.dirs {
		for _, it := range items {
			if it.Kind == ledger.Sums && !it.gone {
				errs = append(errs, checkSums(dir, items))
			}
		}
	}
	return errors.Join(errs...)
}

func checkSums(dir string, items []*item) error {
	list := filepath.Join(dir, artifact.SumsName)
	content, err := os.ReadFile(list)
	if err != nil {
		return fmt.Errorf("reading checksums: %w", err)
	}
	want, err := artifact.ParseSums(content)
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	var errs []error
	for _, it := range items {
		if it.Kind == ledger.Sums || it.Base() == artifact.SumsSignature {
			continue
		}
		if want[it.Base()] != it.SHA256 {
			errs = append(errs, fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, and %s says %q: sign the version again", it.From, it.SHA256, list, want[it.Base()]))
		}
		delete(want, it.Base())
	}
	for file := range want {
		errs = append(errs, fmt.Errorf("%s lists %s, which is not published with it", list, file))
	}
	return errors.Join(errs...)
}

// checkParts makes sure that what a new source package is made of is published as well,
// or was before.
func (b *Batch) checkParts() error {
	have := b.ledger.Taken()
	for _, it := range b.items {
		have[it.Base()] = it.SHA256
	}
	var errs []error
	for _, it := range b.items {
		for _, part := range it.Parts {
			if have[part.Name] != part.SHA256 {
				errs = append(errs, fmt.Errorf("%s is made of %s with the SHA-256 %s, which is not published: publish the whole source package", it.From, part.Name, part.SHA256))
			}
		}
	}
	return errors.Join(errs...)
}

// revision is what the item is of.
func (i *item) revision() ledger.Revision {
	return ledger.Revision{Source: i.Source, Version: i.Version, Release: i.Release}
}

// paths are where the item goes.
func (b *Batch) paths(it *item) []string {
	return layout.Paths(it.Name, it.Base(), b.Source, it.revision())
}

// Added are the ledger's new files, published at the given time.
func (b *Batch) Added(now time.Time) []ledger.File {
	var files []ledger.File
	for _, it := range b.fresh(func(index.Name) bool { return true }) {
		f := ledger.File{
			SHA256: it.SHA256, Size: it.Size, Kind: it.Kind, Package: it.Package, Source: it.Source,
			Arch: it.Arch, Version: it.Version, Release: it.Release, Published: now,
		}
		if it.Record != nil {
			f.Record = artifact.DigestBytes(it.Record)
		}
		for _, f.Path = range b.paths(it) {
			if f.Name() != it.Base() {
				f.Released = it.Base()
			}
			files = append(files, f)
		}
	}
	return files
}

// Place copies the new files to where the ledger has them, with the records of what
// the indexes say of them.
//
// A nil batch has nothing: its files were there before the plan was written.
func (b *Batch) Place(to tree.Tree) error {
	if b == nil {
		return nil
	}
	for _, it := range b.fresh(func(index.Name) bool { return true }) {
		for _, name := range b.paths(it) {
			if err := to.Copy(name, it.From, it.SHA256); err != nil {
				return err
			}
		}
		if it.Record == nil {
			continue
		}
		if err := to.Put(ledger.RecordPath(artifact.DigestBytes(it.Record)), it.Record); err != nil {
			return err
		}
	}
	return nil
}
