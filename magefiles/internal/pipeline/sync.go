package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Sync makes the repository what is released: on a machine that has no tree it
// fetches the one that is published at a.URL, and publishes in it the releases
// that it lacks. A run that was killed after a release and before its publication
// is so finished by the next one, wherever that runs. first says that nothing was
// ever published at a.URL.
//
// The files of releases are kept in dist/signed, in a folder for each, such as
// spire/1.13.3-1. They are believed by their signatures only. Where one is not right,
// the error says so, and nothing is published.
func (p Pipeline) Sync(ctx context.Context, a Archive, from *hub.Repository, first bool) (repo.Report, error) {
	if err := tool.Need(repo.Tools()...); err != nil {
		return repo.Report{}, err
	}
	a, err := p.owned(a)
	if err != nil {
		return repo.Report{}, err
	}
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return repo.Report{}, err
	}
	tree := p.tree(a, sources[0])
	published, err := tree.Fetch(ctx, a.URL, first)
	if err != nil {
		return repo.Report{}, err
	}
	all, err := from.Releases(ctx)
	if err != nil {
		return repo.Report{}, err
	}
	releases := lacking(tree, published, sources, all, a.Now)
	if len(releases) == 0 && len(published.Files) == 0 {
		return repo.Report{}, fmt.Errorf("there is nothing to publish: %s has no release; make one first (`release`)", from.URL())
	}
	folders, err := p.collect(ctx, a, from, releases)
	if err != nil {
		return repo.Report{}, err
	}
	return p.publishEach(ctx, a, folders)
}

// ofSource is a release of a version of a source.
type ofSource struct {
	hub.Release
	source pkgdef.Source
	ledger.Released
}

// full is such as 1.13.3-1.
func (r ofSource) full() string { return fmt.Sprintf("%s-%d", r.Version, r.Released.Release) }

// ours are those of the releases that are of our sources, and not drafts.
func ours(sources []pkgdef.Source, all []hub.Release) []ofSource {
	var ours []ofSource
	for _, release := range all {
		for _, source := range sources {
			if version, number, ok := source.ParseTag(release.Tag); ok && !release.Draft {
				ours = append(ours, ofSource{release, source, ledger.Released{
					Source: source.Name, Version: version, Release: number, Published: release.Published,
				}})
			}
		}
	}
	return ours
}

// lacking are the releases that are to be published, the oldest first.
func lacking(tree repo.Repository, published ledger.Ledger, sources []pkgdef.Source, all []hub.Release, now time.Time) []ofSource {
	releases := map[ledger.Released]ofSource{}
	for _, release := range ours(sources, all) {
		releases[release.Released] = release
	}
	var lacking []ofSource
	for _, one := range tree.Due(published, slices.Collect(maps.Keys(releases)), now) {
		lacking = append(lacking, releases[one])
	}
	return lacking
}

// publishEach publishes folders, one after the other: two packagings of a version
// have upstream's archives in common, and each lists them.
func (p Pipeline) publishEach(ctx context.Context, a Archive, folders []string) (repo.Report, error) {
	if len(folders) == 0 {
		return p.Publish(ctx, a, nil)
	}
	var all repo.Report
	for _, folder := range folders {
		files, err := filesOf(folder)
		if err != nil {
			return repo.Report{}, err
		}
		report, err := p.Publish(ctx, a, files)
		if err != nil {
			return repo.Report{}, err
		}
		all.Resumed = all.Resumed || report.Resumed
		all.Added, all.Retired = append(all.Added, report.Added...), append(all.Retired, report.Retired...)
		all.Until = report.Until
	}
	return all, nil
}

// collect gives a verified folder for each release.
func (p Pipeline) collect(ctx context.Context, a Archive, from *hub.Repository, releases []ofSource) ([]string, error) {
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	var folders []string
	for _, release := range releases {
		place := filepath.Join(p.signedDir(), release.source.Name)
		if err := artifact.Sweep(place); err != nil {
			return nil, err
		}
		d := download{from: from, release: release, dir: filepath.Join(place, release.full()), log: p.Log}
		d.verifier = verifier{trusted: sign.NewKeyring(a.certificates()...), sources: []pkgdef.Source{release.source}, whole: true}
		if err := d.get(ctx); err != nil {
			return nil, fmt.Errorf("the release %s cannot be published, and nothing is: %w (look at %s)", release.Tag, err, release.URL)
		}
		folders = append(folders, d.dir)
	}
	return folders, nil
}

// download is one release on its way to a folder.
type download struct {
	from     *hub.Repository
	release  ofSource
	dir      string
	verifier verifier
	log      io.Writer
}

// get fills the folder, unless an earlier run has.
func (d download) get(ctx context.Context) error {
	if d.check(ctx, d.dir) == nil {
		fmt.Fprintf(d.log, "the files of %s are in %s already\n", d.release.Tag, d.dir)
		return nil
	}
	release, err := d.from.Release(ctx, d.release.ID) // with all assets
	if err != nil {
		return err
	}
	return artifact.MakeDir(d.dir, func(dir string) error { return d.fill(ctx, dir, release.Assets) })
}

// fill downloads the signed list first: what is not as it says is not downloaded.
func (d download) fill(ctx context.Context, dir string, assets []hub.Asset) error {
	var lists, others []hub.Asset
	for _, a := range assets {
		if isList(a.Name) {
			lists = append(lists, a)
		} else {
			others = append(others, a)
		}
	}
	if err := d.all(ctx, dir, lists); err != nil {
		return err
	}
	v := d.verifier
	v.dir = dir
	if err := v.readSums(); err != nil {
		return err
	}
	if err := asListed(others, v.sums); err != nil {
		return err
	}
	if err := d.all(ctx, dir, others); err != nil {
		return err
	}
	return d.check(ctx, dir)
}

// isList says whether a file is the list of checksums, or its signature.
func isList(name string) bool {
	return name == artifact.SumsName || name == artifact.SumsSignature
}

// asListed is an error unless assets are the listed files, all and no others.
func asListed(assets []hub.Asset, sums map[string]string) error {
	var errs []error
	missing := maps.Clone(sums)
	for _, a := range assets {
		sum, listed := sums[a.Name]
		delete(missing, a.Name)
		switch {
		case !listed:
			errs = append(errs, fmt.Errorf("it has %+.80q, which %s does not list", a.Name, artifact.SumsName))
		case a.State != hub.Uploaded:
			errs = append(errs, fmt.Errorf("the upload of %s has not ended", a.Name))
		case a.Digest != "" && a.Digest != "sha256:"+sum:
			errs = append(errs, fmt.Errorf("%s has the digest %.80s, and %s lists %s", a.Name, a.Digest, artifact.SumsName, sum))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		errs = append(errs, fmt.Errorf("it lacks %s", name))
	}
	return errors.Join(errs...)
}

// all downloads assets, several at once.
func (d download) all(ctx context.Context, dir string, assets []hub.Asset) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, a := range assets {
		group.Go(func() error {
			if err := d.from.Download(ctx, a, filepath.Join(dir, a.Name)); err != nil {
				return err
			}
			fmt.Fprintf(d.log, "downloaded %s of %s, %.1f MB\n", a.Name, d.release.Tag, float64(a.Size)/1e6)
			return nil
		})
	}
	return group.Wait()
}

// check verifies a folder as verify does, and that it is of the release.
func (d download) check(ctx context.Context, dir string) error {
	files, err := filesOf(dir)
	if err != nil {
		return err
	}
	v := d.verifier
	v.dir = dir
	if err := v.open(); err != nil {
		return err
	}
	if name := d.release.Source + "_" + d.release.full() + artifact.Provenance; v.sums[name] == "" {
		return fmt.Errorf("its files are of another version: %s lists no %s", artifact.SumsName, name)
	}
	verdicts := v.complete(files)
	for _, file := range files {
		_, err := v.one(ctx, file)
		verdicts = append(verdicts, Verdict{File: filepath.Base(file), Err: err})
	}
	var errs []error
	for _, verdict := range verdicts {
		if verdict.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", verdict.File, verdict.Err))
		}
	}
	return errors.Join(errs...)
}

// pagesLimit is the size, in bytes, that a site on GitHub Pages may have.
const pagesLimit = 1e9

// PrintSize writes how large the tree in dir is, and whether GitHub Pages takes
// it.
func PrintSize(w io.Writer, dir string) error {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("measuring the repository: %w", err)
	}
	fmt.Fprintf(w, "%s has %.1f MB\n", dir, float64(size)/1e6)
	if size > pagesLimit {
		fmt.Fprintf(w, "WARNING: GitHub Pages takes sites of up to 1 GB: find another host for it, or keep fewer versions\n")
	}
	return nil
}
