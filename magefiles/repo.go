//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/vulnerability"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// Repo makes repositories for apt, dnf, zypper and apk.
type Repo mg.Namespace

// address is where repo:serve serves.
const address = "127.0.0.1:8080"

// Build signs, and makes or extends the repository in dist/repo.
//
// Flags: those of sign, of which -formats=deb,rpm,dsc,srpm,apk has packages for apk too;
// -url=https://HOST/PATH, where it will be served (SPIRE_REPO_URL);
// -keep=all, to give up nothing from now on, neither a version nor a state, which takes a
// home that is large enough (SPIRE_REPO_KEEP);
// -trust=FILE, with further public keys that clients shall trust, such as the
// next one (SPIRE_REPO_TRUST); -refresh, to sign the indexes again although
// nothing is new (SPIRE_REPO_REFRESH=true); -at=2026-11-24T00:00:00Z, the time of the
// publication; -results=DIR, with reports of the tests, one a folder, for the status page
// (SPIRE_REPO_RESULTS); -vulnerabilities=DIR, what check:vulnerabilities has written, to be
// signed and shown (SPIRE_REPO_VULNERABILITIES); -attestations=DIR and -rebuilders=DIR, with
// what those attest who build again, and their keys, in the place of
// packages/spire-archive-keyring/rebuilders (SPIRE_REPO_ATTESTATIONS, SPIRE_REPO_REBUILDERS).
func (Repo) Build(ctx context.Context, version, arch, source, formats, url, trust, at, keep, results, vulnerabilities, attestations, rebuilders *string, refresh *bool) error {
	archive, err := archiveOf(url, trust, at, keep, said{results, vulnerabilities, attestations, rebuilders}, refresh)
	if err != nil {
		return err
	}
	if archive.URL == "" {
		archive.URL = "http://" + address
	}
	return checkout().ForEach(in(options(version, arch, source, nil), formats), func(o pipeline.Options) error {
		return signed(ctx, o, false, func(result pipeline.Result, signer *sign.Signer) error {
			archive.Signer = signer
			report, err := checkout().Publish(ctx, archive, result.Paths())
			if err == nil {
				publication.PrintReport(os.Stdout, report)
			}
			return err
		})
	})
}

// Sync brings into the repository in dist/repo what is released on GitHub and not in it yet.
//
// It first fetches the tree that is published at -url into dist/repo, unless a tree
// that is as new is there; the files of the releases come into dist/signed and are
// believed by their signatures. Nothing is brought to the web host: that is for
// whoever serves dist/repo.
//
// With -from=s3://BUCKET/PREFIX (SPIRE_REPO_STORE), or another place that repo:publish
// knows, it reads there only what a publication needs, and packages stay where they are.
//
// Flags: -url=https://HOST/PATH, where the repository is served (SPIRE_REPO_URL);
// -from, and -endpoint as of repo:publish; -repository=owner/name, where the releases are
// (GITHUB_REPOSITORY); -first, when nothing was ever published at -url
// (SPIRE_REPO_FIRST=true); -trust, -keep, -refresh, -at, -results, -vulnerabilities,
// -attestations and -rebuilders as of repo:build. The key as of sign. Of a private repository
// GITHUB_TOKEN or GH_TOKEN is needed. In a workflow, the output `changed` of its step says whether there is something new to serve.
func (Repo) Sync(ctx context.Context, url, repository, trust, at, keep, results, vulnerabilities, attestations, rebuilders, from, endpoint *string, refresh, first *bool) error {
	archive, err := archiveOf(url, trust, at, keep, said{results, vulnerabilities, attestations, rebuilders}, refresh)
	if err != nil {
		return err
	}
	if archive.URL == "" {
		return errNowhere
	}
	archive.Home = place(from, endpoint)
	releases, err := destination(flag(repository, "GITHUB_REPOSITORY"), true) // nothing is changed there
	if err != nil {
		return err
	}
	return withSigner(ctx, func(signer *sign.Signer) error {
		archive.Signer = signer
		return synchronise(ctx, archive, releases, isOn(first, "SPIRE_REPO_FIRST"))
	})
}

var errNowhere = errors.New("where is the repository served? Give its address with -url=https://HOST/PATH, or in SPIRE_REPO_URL")

func synchronise(ctx context.Context, archive pipeline.Archive, from *hub.Repository, first bool) error {
	report, err := checkout().Sync(ctx, archive, from, first)
	if err != nil {
		return err
	}
	publication.PrintReport(os.Stdout, report)
	if archive.Home.Address == "" {
		if err := publication.PrintSize(os.Stdout, checkout().RepositoryDir()); err != nil {
			return err
		}
	}
	return stepfile.SetOutputs(fmt.Sprintf("changed=%t\n", !report.Unchanged))
}

// Publish brings the repository in dist/repo to where it is served.
//
// -to is s3://BUCKET/PREFIX of any service with S3's interface, the path of a folder, or a
// host that rsync reaches: rsync://HOST/MODULE/PATH or HOST:PATH (SPIRE_REPO_STORE). Only
// what is new is sent, by what the signed ledger there says; clients find the state before
// or the new one, also where a run is cut off, and the next run finishes it. Of two
// publications at once, one is refused (not by rsync, which cannot).
//
// Flags: -to; -endpoint=https://HOST, the service's address, without which it is AWS's
// (SPIRE_REPO_ENDPOINT); -key=FILE, the public keys to believe, for a rehearsal, by default
// those of packages/spire-archive-keyring/keys; -dry, to say what would be sent and change
// nothing. Credentials are in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
// AWS_SESSION_TOKEN, the region in AWS_REGION. Nothing is signed, so no secret key is needed.
func (Repo) Publish(ctx context.Context, to, endpoint, key *string, dry *bool) error {
	home := place(to, endpoint)
	if home.Address == "" {
		return errNoPlace
	}
	keys, err := pinned(key)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return errNobody
	}
	report, err := checkout().Bring(ctx, home, checkout().RepositoryDir(), sign.NewKeyring(keys...), dry != nil && *dry)
	if err != nil {
		return err
	}
	publication.PrintBrought(os.Stdout, home, report)
	return nil
}

var errNoPlace = errors.New("where shall it go? Give -to=s3://BUCKET/PREFIX, -to=DIRECTORY, -to=rsync://HOST/MODULE/PATH or -to=HOST:PATH, or set SPIRE_REPO_STORE")

// place is where the archive is kept, by flags and environment.
func place(address, endpoint *string) (p publication.Place) {
	p.Address = flag(address, "SPIRE_REPO_STORE")
	p.Endpoint, p.Region = flag(endpoint, "SPIRE_REPO_ENDPOINT"), os.Getenv("AWS_REGION")
	p.KeyID, p.Secret, p.Token = secret.Get("AWS_ACCESS_KEY_ID"), secret.Get("AWS_SECRET_ACCESS_KEY"), secret.Get("AWS_SESSION_TOKEN")
	return p
}

// said are the flags for folders with what is said of versions: by tests, by databases of
// vulnerabilities, and by those who build again.
type said struct{ results, vulnerabilities, attestations, rebuilders *string }

// archiveOf is the archive that the flags tell of, without a signer.
func archiveOf(url, trust, at, keep *string, said said, refresh *bool) (archive pipeline.Archive, err error) {
	archive = pipeline.Archive{URL: flag(url, "SPIRE_REPO_URL"), Refresh: isOn(refresh, "SPIRE_REPO_REFRESH")}
	if archive.Now, err = moment(at); err != nil {
		return archive, err
	}
	if archive.Everything, err = keepsAll(flag(keep, "SPIRE_REPO_KEEP")); err != nil {
		return archive, err
	}
	archive.Results, archive.Vulnerabilities = flag(said.results, "SPIRE_REPO_RESULTS"), flag(said.vulnerabilities, "SPIRE_REPO_VULNERABILITIES")
	archive.Attestations, archive.Rebuilders = flag(said.attestations, "SPIRE_REPO_ATTESTATIONS"), flag(said.rebuilders, "SPIRE_REPO_REBUILDERS")
	rows, err := host.Rows(checkout().Root)
	if err != nil {
		return archive, err
	}
	archive.Places = publication.Places(rows)
	accepted, err := vulnerability.Accepted(checkout().Root)
	if err != nil {
		return archive, err
	}
	for _, one := range accepted {
		archive.Accepted = append(archive.Accepted, frontpage.Accepted(one))
	}
	archive.Trusted, err = certificates(flag(trust, "SPIRE_REPO_TRUST"))
	return archive, err
}

// Serve serves the repository in dist/repo on this machine, until it is stopped.
func (Repo) Serve(ctx context.Context) error {
	return web.Serve(ctx, address, checkout().RepositoryDir(), os.Stderr)
}

// keepsAll reads what is to be kept: the usual, or all.
func keepsAll(what string) (bool, error) {
	if what != "" && what != "all" {
		return false, fmt.Errorf("-keep=%s is not -keep=all: without it, the newest versions are kept", what)
	}
	return what == "all", nil
}

// moment is the time of a publication: now, unless given.
func moment(at *string) (time.Time, error) {
	if at == nil {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, *at)
	if err != nil {
		return time.Time{}, fmt.Errorf("-at=%s is not of the form 2026-11-24T00:00:00Z: %w", *at, err)
	}
	return t, nil
}

// certificates reads a file of public keys; none where the name is empty.
func certificates(path string) ([]sign.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading public keys: %w", err)
	}
	return sign.Certificates(content)
}
