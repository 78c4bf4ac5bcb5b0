package publication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
)

// Lacking are the releases that the repository lacks, the oldest first. A machine that
// has no tree fetches the one that is published; first says that nothing ever was.
func (a Archive) Lacking(ctx context.Context, from *hub.Repository, first bool) ([]Release, error) {
	published, err := a.fetched(ctx, first)
	if err != nil {
		return nil, err
	}
	tree, err := a.tree()
	if err != nil {
		return nil, err
	}
	all, err := from.Releases(ctx)
	if err != nil {
		return nil, err
	}
	releases := map[ledger.Released]Release{}
	for _, release := range Releases(a.Sources, all) {
		releases[release.Released] = release
	}
	var lacking []Release
	for _, one := range tree.Due(published, slices.Collect(maps.Keys(releases)), a.Now) {
		lacking = append(lacking, releases[one])
	}
	if len(lacking) == 0 && len(published.Files) == 0 {
		return nil, fmt.Errorf("there is nothing to publish: %s has no release; make one first (`release`)", from.URL())
	}
	return lacking, nil
}

// Collect gives a verified folder for each release, below signed.
func (a Archive) Collect(ctx context.Context, from *hub.Repository, releases []Release, signed string) ([]string, error) {
	var folders []string
	for _, release := range releases {
		place := filepath.Join(signed, release.source.Name)
		if err := artifact.Sweep(place); err != nil {
			return nil, err
		}
		d := download{
			from: from, release: release, dir: filepath.Join(place, release.Full()), log: a.Log,
			believed: verify.Believed{Keys: a.trusted(), Sources: []pkgdef.Source{release.source}},
		}
		if err := d.get(ctx); err != nil {
			return nil, fmt.Errorf("the release %s cannot be published, and nothing is: %w (look at %s)", release.Tag, err, release.URL)
		}
		folders = append(folders, d.dir)
	}
	return folders, nil
}

// PublishEach publishes folders, one after the other: two packagings of a version
// have upstream's archives in common, and each lists them.
func (a Archive) PublishEach(ctx context.Context, folders []string) (repo.Report, error) {
	if len(folders) == 0 {
		return a.Publish(ctx, nil)
	}
	var all repo.Report
	for _, folder := range folders {
		files, err := verify.Paths(folder)
		if err != nil {
			return repo.Report{}, err
		}
		report, err := a.Publish(ctx, files)
		if err != nil {
			return repo.Report{}, err
		}
		all.Resumed = all.Resumed || report.Resumed
		all.Added, all.Retired = append(all.Added, report.Added...), append(all.Retired, report.Retired...)
		all.Until = report.Until
	}
	return all, nil
}

// download is one release on its way to a folder.
type download struct {
	from     *hub.Repository
	release  Release
	dir      string
	believed verify.Believed
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
		if verify.IsList(a.Name) {
			lists = append(lists, a)
		} else {
			others = append(others, a)
		}
	}
	if err := d.all(ctx, dir, lists); err != nil {
		return err
	}
	sums, err := d.believed.Listed(dir)
	if err != nil {
		return err
	}
	if err := asListed(others, sums); err != nil {
		return err
	}
	if err := d.all(ctx, dir, others); err != nil {
		return err
	}
	return d.check(ctx, dir)
}

// check verifies a folder as verify does, and that it is of the release.
func (d download) check(ctx context.Context, dir string) error {
	return d.believed.Folder(ctx, dir, d.release.Source+"_"+d.release.Full()+artifact.Provenance)
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
