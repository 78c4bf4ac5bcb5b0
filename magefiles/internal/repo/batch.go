package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// item is one file that somebody wants published.
type item struct {
	name
	from   string // its path
	sha256 string
	size   int64 // bytes
	source string
	record *record // nil if apt's indexes say nothing of it
	// known is true if it is offered already, gone if it was once.
	known, gone bool
}

func (i *item) base() string { return filepath.Base(i.from) }

// batch is the files of one publication.
type batch struct {
	Repository
	ledger Ledger
	items  []*item
	// dirs are the items of each folder that they come from: a list of checksums
	// is about its own.
	dirs map[string][]*item
}

// read looks at the files to publish: their names, what is in those that are
// new, and that all of it agrees. Nothing is written.
func (r Repository) read(ctx context.Context, files []string, l Ledger) (*batch, error) {
	b := &batch{Repository: r, ledger: l, dirs: map[string][]*item{}}
	if err := b.list(files); err != nil {
		return nil, err
	}
	if err := b.compare(); err != nil {
		return nil, err
	}
	if err := errors.Join(b.debs(ctx), b.dscs(ctx), b.rpms(ctx)); err != nil {
		return nil, err
	}
	if err := errors.Join(b.others(), b.sums()); err != nil {
		return nil, err
	}
	return b, errors.Join(b.checkSums(), b.checkDSCs())
}

// list reads the names and digests.
func (b *batch) list(files []string) error {
	seen := map[string]string{}
	for _, file := range files {
		n, err := parse(filepath.Base(file))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if n.pkg != "" && !slices.Contains(b.Names, n.pkg) {
			return fmt.Errorf("%s is a file of %s, which is none of the packages that are published: %s", file, n.pkg, strings.Join(b.Names, ", "))
		}
		sum, size, err := artifact.Digest(file)
		if err != nil {
			return fmt.Errorf("reading a file to publish: %w", err)
		}
		once := n.pkg + " " + filepath.Base(file)
		if n.pkg == "" { // checksums: each folder has its own
			once = file
		}
		if other, ok := seen[once]; ok {
			return fmt.Errorf("%s and %s have the same name: publish one of them", other, file)
		}
		seen[once] = file
		it := &item{name: n, from: file, sha256: sum, size: size, source: n.pkg}
		b.items = append(b.items, it)
		b.dirs[filepath.Dir(file)] = append(b.dirs[filepath.Dir(file)], it)
	}
	return nil
}

// compare finds what was published before: with the same bytes it is left
// alone, with others it is an error.
func (b *batch) compare() error {
	var errs []error
	taken := b.ledger.taken()
	for _, it := range b.items {
		if it.pkg != "" { // checksums have their turn when it is known whose they are
			errs = append(errs, b.compareOne(it, it.base(), taken))
		}
	}
	return errors.Join(errs...)
}

func (b *batch) compareOne(it *item, key string, taken map[string]string) error {
	before, ok := taken[key]
	if !ok {
		return nil
	}
	if before != it.sha256 {
		return fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, but %s was published with %s: what is published never changes; raise its release (a keyring package's version) and publish that, or build again what was published", it.from, it.sha256, key, before)
	}
	offered := b.ledger.find(key)
	it.known, it.gone = len(offered) > 0, len(offered) == 0
	for _, f := range offered {
		it.source = f.Source
		if err := b.intact(f); err != nil {
			return err
		}
	}
	return nil
}

// intact compares a published file's bytes with what was published.
func (r Repository) intact(f File) error {
	sum, _, err := artifact.Digest(r.path(f.Path))
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("checksum mismatch: its SHA-256 is %s, and %s was published", sum, f.SHA256)
	}
	if err != nil {
		return fmt.Errorf("the published file %s was changed: %w (put the published one back)", f.Path, err)
	}
	return nil
}

// fresh are the items that are new and that is says yes to.
func (b *batch) fresh(is func(name) bool) []*item {
	var found []*item
	for _, it := range b.items {
		if !it.known && !it.gone && is(it.name) {
			found = append(found, it)
		}
	}
	return found
}

// others finds the source of what does not say it itself.
func (b *batch) others() error {
	var errs []error
	for _, it := range b.fresh(func(n name) bool { return n.kind == SBOM }) {
		source, ok := b.sourceOf(it.of)
		if !ok {
			errs = append(errs, fmt.Errorf("%s describes %s, which is not published: publish them together", it.from, it.of))
		}
		it.source = source
	}
	return errors.Join(errs...)
}

// sourceOf is the source of a file that is published now or was before.
func (b *batch) sourceOf(file string) (string, bool) {
	for _, it := range b.items {
		if it.base() == file && !it.gone {
			return it.source, true
		}
	}
	if offered := b.ledger.find(file); len(offered) > 0 {
		return offered[0].Source, true
	}
	return "", false
}

// sums finds whose the lists of checksums are.
func (b *batch) sums() error {
	var errs []error
	taken := b.ledger.taken()
	for dir, items := range b.dirs {
		if !slices.ContainsFunc(items, func(it *item) bool { return it.pkg == "" }) {
			continue
		}
		of, gone, err := b.revision(items)
		if err != nil {
			errs = append(errs, fmt.Errorf("the checksums in %s: %w", dir, err))
			continue
		}
		for _, it := range items {
			if it.pkg != "" {
				continue
			}
			it.pkg, it.source, it.version, it.release, it.gone = of.source, of.source, of.version, of.release, gone
			if !gone {
				errs = append(errs, b.compareOne(it, b.paths(it)[0], taken))
			}
		}
	}
	return errors.Join(errs...)
}

// revision is what the files of one folder are a revision of: of the
// repository's source where that is among them. gone is true if all are.
func (b *batch) revision(items []*item) (of revision, gone bool, err error) {
	var found []revision
	for _, it := range items {
		if it.pkg == "" || it.release == 0 {
			continue
		}
		if !it.gone {
			found = append(found, revision{it.source, it.version, it.release})
		}
		gone = gone || it.gone
	}
	rank := func(e revision) int {
		if e.source == b.Source {
			return 0
		}
		return 1
	}
	slices.SortFunc(found, func(x, y revision) int {
		return cmp.Or(rank(x)-rank(y), strings.Compare(x.source, y.source), x.compare(y))
	})
	found = slices.Compact(found)
	switch {
	case len(found) == 0 && gone:
		return revision{}, true, nil
	case len(found) == 0:
		return revision{}, false, errors.New("there is no package beside them")
	case len(found) > 1 && found[0].source == found[1].source:
		return revision{}, false, fmt.Errorf("they are of %s-%d and %s-%d: publish a folder for each version", found[0].version, found[0].release, found[1].version, found[1].release)
	}
	return found[0], false, nil
}

// checkSums compares what is published with the lists of checksums beside it: a
// file that changed, or was forgotten, after it was signed is not published.
func (b *batch) checkSums() error {
	var errs []error
	for dir, items := range b.dirs {
		for _, it := range items {
			if it.kind == Sums && !it.gone {
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
		if it.kind == Sums || it.base() == artifact.SumsSignature {
			continue
		}
		if want[it.base()] != it.sha256 {
			errs = append(errs, fmt.Errorf("checksum mismatch: %s has the SHA-256 %s, and %s says %q: sign the version again", it.from, it.sha256, list, want[it.base()]))
		}
		delete(want, it.base())
	}
	for file := range want {
		errs = append(errs, fmt.Errorf("%s lists %s, which is not published with it", list, file))
	}
	return errors.Join(errs...)
}

// checkDSCs makes sure that what a new .dsc is made of is published as well, or
// was before.
func (b *batch) checkDSCs() error {
	have := b.ledger.taken()
	for _, it := range b.items {
		have[it.base()] = it.sha256
	}
	var errs []error
	for _, it := range b.items {
		if it.record == nil || it.kind != Source {
			continue
		}
		for _, part := range checksums(it.record.Stanza) {
			if have[part.name] != part.sha256 {
				errs = append(errs, fmt.Errorf("%s is made of %s with the SHA-256 %s, which is not published: publish the whole source package", it.from, part.name, part.sha256))
			}
		}
	}
	return errors.Join(errs...)
}

// paths are where the item goes.
func (b *batch) paths(it *item) []string {
	var paths []string
	for _, folder := range b.folders(it.name, it.source, it.version, it.release) {
		paths = append(paths, folder+"/"+it.base())
	}
	return paths
}

// added are the ledger's new files, published at the given time.
func (b *batch) added(now time.Time) []File {
	var files []File
	for _, it := range b.fresh(func(name) bool { return true }) {
		f := File{
			SHA256: it.sha256, Size: it.size, Kind: it.kind, Package: it.pkg, Source: it.source,
			Arch: it.arch, Version: it.version, Release: it.release, Published: now,
		}
		if it.arch == "src" {
			f.Arch = ""
		}
		if it.record != nil {
			f.Record = artifact.DigestBytes(encode(it.record))
		}
		for _, f.Path = range b.paths(it) {
			files = append(files, f)
		}
	}
	return files
}

// linked is the folder inside the one that within makes. In "." itself
// apt-ftparchive leaves Directory out.
const linked = "new"

// within runs fill with a folder in which the folder linked has links to the
// items' files, under their names. It is removed afterwards.
func within(items []*item, fill func(dir string) error) error {
	dir, err := os.MkdirTemp("", "repo")
	if err != nil {
		return fmt.Errorf("making a folder for reading packages: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.Mkdir(filepath.Join(dir, linked), 0o700); err != nil {
		return fmt.Errorf("making a folder for reading packages: %w", err)
	}
	for _, it := range items {
		from, err := filepath.Abs(it.from)
		if err == nil {
			err = os.Symlink(from, filepath.Join(dir, linked, it.base()))
		}
		if err != nil {
			return fmt.Errorf("linking %s: %w", it.from, err)
		}
	}
	return fill(dir)
}
