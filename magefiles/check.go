//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite"
)

// Check runs checks.
type Check mg.Namespace

// Aliases are shorter names of targets.
var Aliases = map[string]any{"check": Check.All, "setup": Setup.Build}

// All runs the checks that need no build: definitions, vet, lint, units, scripts, workflows.
func (Check) All(ctx context.Context) error {
	return tests().Static(ctx)
}

// Key fails if the key to sign with ends within 90 days.
func (Check) Key(ctx context.Context) error {
	return withSigner(ctx, func(signer *sign.Signer) error {
		fmt.Printf("%s %s\n", signer.Fingerprint(), signer.Certificate().UserID())
		return sign.CheckKey(signer, time.Now())
	})
}

// Vulnerabilities fails if something that is linked into the programs is known to be vulnerable.
//
// It looks by govulncheck into the programs of debs, and asks OSV for everything that
// the bills of materials list, C libraries too: of a version in dist, or with -released
// (SPIRE_RELEASED=true) of the newest releases on GitHub (GITHUB_REPOSITORY). What
// tests/vulnerabilities.yaml accepts is no failure until its last day. What was found
// is also written as OpenVEX, into dist/vulnerabilities. -database=ADDRESS
// (SPIRE_VULNERABILITIES) takes another database than Go's own, such as file:///DIR;
// -osv=ADDRESS (SPIRE_OSV) another one than https://api.osv.dev. Where one cannot be
// asked it fails.
func (Check) Vulnerabilities(ctx context.Context, version, database, osv *string, released *bool) error {
	looked, err := looked(ctx, flag(version, "SPIRE_VERSION"), isOn(released, "SPIRE_RELEASED"))
	if err != nil {
		return err
	}
	if len(looked.Debs) == 0 {
		fmt.Println("nothing is released yet, so nothing was looked at")
		return nil
	}
	return tests().Vulnerabilities(ctx, looked, databases(flag(database, "SPIRE_VULNERABILITIES"), flag(osv, "SPIRE_OSV")))
}

// databases are those at the addresses.
func databases(ofGo, ofAll string) suite.Databases {
	return suite.Databases{Go: ofGo, OSV: osv.Client{Address: ofAll}}
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
	built, err := checkout().Built(pipeline.Options{Version: version})
	if err == nil && len(built.Debs) == 0 {
		err = errors.New("nothing was built that could be looked at: build it, or say -released")
	}
	return built, err
}
