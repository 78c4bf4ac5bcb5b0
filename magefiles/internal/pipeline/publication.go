package pipeline

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/store"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Archive is a repository of packages: where it is, and on whose word.
type Archive struct {
	Dir string // the tree's root; empty means dist/repo
	URL string // where it will be served, without a slash at the end
	// Signer signs what is published.
	Signer *sign.Signer
	// Trusted are further certificates that clients shall trust beside the
	// signer's: those of the keys before and after it.
	Trusted []sign.Certificate
	Now     time.Time // of the publication
	Refresh bool      // sign the indexes again though nothing is new
	// Everything says that nothing is given up, from now on: neither a version nor a state.
	Everything bool
	// Results is the folder with reports of tests, one a folder, for the status page; empty
	// where there are none.
	Results string
	// Places are where the packages are tested, and Accepted known vulnerabilities that are
	// shipped, for the status page.
	Places   []frontpage.Place
	Accepted []frontpage.Accepted
	// Vulnerabilities is the folder that check:vulnerabilities has written; empty where there
	// is none.
	Vulnerabilities string
	// Attestations is a folder with attestations, and Rebuilders one with the keys of those
	// whose word counts; empty means RebuildersDir of the checkout, which has both.
	Attestations, Rebuilders string
	// Home is where it is kept, if that is more than a web host: what is published is read
	// there, and not at URL.
	Home publication.Place
}

// RepositoryDir is where a repository is unless told otherwise.
func (p Pipeline) RepositoryDir() string { return filepath.Join(string(p.Dist), "repo") }

// Publish adds signed files to the repository in a.Dir, or makes it, with the
// packages that have its keys and address, and its front page.
func (p Pipeline) Publish(ctx context.Context, a Archive, files []string) (repo.Report, error) {
	archive, err := p.archive(a)
	if err != nil {
		return repo.Report{}, err
	}
	return archive.Publish(ctx, files)
}

// Sync makes the repository what is released: on a machine that has no tree it
// fetches the one that is published at a.URL (or what it needs of that in a.Home), and publishes in it the releases
// that it lacks. A run that was killed after a release and before its publication
// is so finished by the next one, wherever that runs. first says that nothing was
// ever published at a.URL.
//
// The files of releases are kept in dist/signed, in a folder for each, such as
// spire/1.13.3-1. They are believed by their signatures only. Where one is not right,
// the error says so, and nothing is published.
func (p Pipeline) Sync(ctx context.Context, a Archive, from *hub.Repository, first bool) (repo.Report, error) {
	// Who signs, and whom clients trust.
	archive, err := p.archive(a)
	if err != nil {
		return repo.Report{}, err
	}
	// What is published, and of what is released, what it lacks.
	lacking, err := archive.Lacking(ctx, from, first)
	if err != nil {
		return repo.Report{}, err
	}
	// The files of that, all of which have to be right.
	folders, err := p.collect(ctx, archive, from, lacking)
	if err != nil {
		return repo.Report{}, err
	}
	// Packages, sources, keys, front page, and last the indexes that name them.
	return archive.PublishEach(ctx, folders)
}

// Bring makes a place what the repository in dir is: see publication.Place.
func (p Pipeline) Bring(ctx context.Context, to publication.Place, dir string, keys sign.Keyring, dry bool) (store.Report, error) {
	keyrings, err := pkgdef.LoadKeyrings(p.Root)
	if err != nil {
		return store.Report{}, err
	}
	return to.Bring(ctx, dir, keyrings, keys, dry, p.Log)
}

// collect downloads releases while no other run works in dist.
func (p Pipeline) collect(ctx context.Context, archive publication.Archive, from *hub.Repository, releases []publication.Release) ([]string, error) {
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return archive.Collect(ctx, from, releases, p.signedDir())
}

// archive is the archive with the keys that clients shall have, and the definitions.
func (p Pipeline) archive(a Archive) (archive publication.Archive, err error) {
	if err := tool.Need(repo.Tools()...); err != nil {
		return archive, err
	}
	archive = publication.Archive{
		Dir: cmp.Or(a.Dir, p.RepositoryDir()), URL: a.URL,
		Signer: a.Signer, Now: a.Now, Refresh: a.Refresh, Everything: a.Everything, Home: a.Home, Log: p.Log,
	}
	if archive.Certificates, err = p.trusted(a); err != nil {
		return archive, err
	}
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return archive, err
	}
	for _, source := range pkgdef.Ready(sources) {
		packages, err := p.Packages(source)
		if err != nil {
			return archive, err
		}
		archive.Sources, archive.Packages = append(archive.Sources, source), append(archive.Packages, packages...)
	}
	if archive.Keyrings, err = pkgdef.LoadKeyrings(p.Root); err != nil {
		return archive, err
	}
	archive.Places, archive.Accepted = a.Places, a.Accepted
	return archive, p.hear(a, &archive)
}

// RebuildersDir is where the checkout has the public keys of those whose word counts that a
// version can be built again, and what they attest.
const RebuildersDir = "packages/spire-archive-keyring/rebuilders"

// hear reads what tests, databases and rebuilders say of versions.
func (p Pipeline) hear(a Archive, archive *publication.Archive) (err error) {
	if a.Results != "" {
		if archive.Tested, err = publication.Seen(a.Results, archive.Sources, archive.Places); err != nil {
			return err
		}
	}
	if a.Vulnerabilities != "" {
		if archive.Assessed, err = publication.Assessments(a.Vulnerabilities, archive.Sources); err != nil {
			return err
		}
	}
	ours := filepath.Join(p.Root, RebuildersDir)
	if archive.Rebuilders, err = publication.Rebuilders(cmp.Or(a.Rebuilders, ours)); err != nil {
		return err
	}
	archive.Attested, err = publication.Attestations(cmp.Or(a.Attestations, ours), archive.Rebuilders)
	return err
}
