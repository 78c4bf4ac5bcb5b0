//go:build mage

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/demand"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/published"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/vulnerability"
)

// Check runs checks.
type Check mg.Namespace

// Aliases are shorter names of targets.
var Aliases = map[string]any{"check": Check.All, "setup": Setup.Build}

// All runs the checks that need no build: definitions, vet, lint, units, scripts, workflows.
func (Check) All(ctx context.Context) error {
	return tests().Static(ctx)
}

// Adoption says what those ask for who may take the project over, and what there is of it.
//
// Each row of the lists in tests/demands is green, with where that is seen; red, with what
// is missing, which is a failure; or a person's, with the reason why no program can say.
func (Check) Adoption(ctx context.Context) error {
	return demand.Check(ctx, os.Stdout, checkout().Root)
}

// Key fails if the key to sign with ends within 90 days.
func (Check) Key(ctx context.Context) error {
	return withSigner(ctx, func(signer *sign.Signer) error {
		fmt.Printf("%s %s\n", signer.Fingerprint(), signer.Certificate().UserID())
		return sign.CheckKey(signer, time.Now())
	})
}

// Published fails if a repository is not what its users should find where it is served.
//
// It reads the signed indexes and all that they list, believing the keys in
// packages/spire-archive-keyring/keys/, or in -key=FILE: one that is older than a week
// or ends within three days, a key that ends within 90, a version that is not the
// newest release on GitHub, or a file that is not there, is a fault. Then the newest
// release of each distribution, or the rows that -row=debian-13 names, does in a fresh
// container what the front page says: add the repository, install, and download the
// sources. Nobody has signed that page, and its lines run as root in containers that
// are no jail: visit only a host whose lines you would paste.
//
// Flags: -url=https://HOST/PATH (SPIRE_REPO_URL); -version=1.13.3-2 (SPIRE_VERSION), the
// newest that is to be there, without a number that of srpm/spire/source.yaml;
// -repository=owner/name, where the releases are (GITHUB_REPOSITORY, or the project's);
// -arch (amd64,arm64), -row (SPIRE_TEST_ROW), several separated by commas; -wait=15m,
// for a web host that may go on giving what it had before the newest version.
func (Check) Published(ctx context.Context, url, version, repository, key, arch, row *string, wait *time.Duration) error {
	to := published.Visit{URL: flag(url, "SPIRE_REPO_URL"), Arches: list(arch, "SPIRE_ARCH"), On: list(row, "SPIRE_TEST_ROW")}
	if to.URL == "" {
		return errNowhere
	}
	if len(to.Arches) == 0 {
		to.Arches = allArches
	}
	if wait != nil {
		to.Wait = *wait
	}
	var err error
	if to.Keys, err = pinned(key); err != nil {
		return err
	}
	if len(to.Keys) == 0 {
		return errNobody
	}
	if to.Versions, err = newest(ctx, flag(version, "SPIRE_VERSION"), flag(repository, "GITHUB_REPOSITORY")); err != nil {
		return err
	}
	return published.Check(ctx, tests().Checkout, to)
}

// newest are the newest versions that are to be there, by source: of the main one that
// which is named, with the packaging's release; else those that are released last in a
// repository, the project's own where none is named.
func newest(ctx context.Context, version, repository string) (map[string]string, error) {
	if version != "" {
		return checkout().Named(version)
	}
	from, err := destination(cmp.Or(repository, strings.TrimPrefix(provenance.Project, "https://github.com/")), true) // nothing is changed there
	if err != nil {
		return nil, err
	}
	return checkout().Newest(ctx, from)
}

// Vulnerabilities fails if something that is linked into the programs is known to be vulnerable.
//
// It looks by govulncheck into the programs of debs, and asks OSV for everything that
// the bills of materials list, C libraries too: of a version in dist, or with -allArches
// (SPIRE_RELEASED=true) of the newest releases on GitHub (GITHUB_REPOSITORY). What
// tests/vulnerabilities.yaml accepts is no failure until its last day. What was found
// is also written as OpenVEX, into dist/vulnerabilities. -database=ADDRESS
// (SPIRE_VULNERABILITIES) takes another database than Go's own, such as file:///DIR;
// -osv=ADDRESS (SPIRE_OSV) another one than https://api.osv.dev. -osv=vulndb asks neither, but
// the newest golang.org/x/vulndb that the module proxy has, which is about Go alone. Where one
// cannot be asked it fails.
func (Check) Vulnerabilities(ctx context.Context, version, database, osv *string, released *bool) error {
	looked, err := looked(ctx, flag(version, "SPIRE_VERSION"), isOn(released, "SPIRE_RELEASED"))
	if err != nil {
		return err
	}
	if len(looked.Debs) == 0 {
		fmt.Println("nothing is released yet, so nothing was looked at")
		return nil
	}
	return vulnerability.WithDatabases(ctx, os.Stdout, flag(database, "SPIRE_VULNERABILITIES"), flag(osv, "SPIRE_OSV"), func(ask vulnerability.Databases) error {
		return tests().Vulnerabilities(ctx, looked, ask)
	})
}

// looked are the files to look at; none where nothing is released.
func looked(ctx context.Context, version string, released bool) (pipeline.Looked, error) {
	if released {
		from, err := destination(flag(nil, "GITHUB_REPOSITORY"), true) // nothing is changed there
		if err != nil {
			return pipeline.Looked{}, err
		}
		return checkout().Released(ctx, from, runtime.GOARCH)
	}
	return checkout().Built(pipeline.Options{Version: version})
}
