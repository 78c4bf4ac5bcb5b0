//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Check runs checks.
type Check mg.Namespace

// Aliases are shorter names of targets.
var Aliases = map[string]any{"check": Check.All}

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
// Go's modules and its own library, by govulncheck; not the C library. It looks into
// the debs of a version in dist, or with -released (SPIRE_RELEASED=true) of the newest
// releases on GitHub (GITHUB_REPOSITORY). What it found is also written as OpenVEX,
// into dist/vulnerabilities. -database=ADDRESS (SPIRE_VULNERABILITIES) takes another
// database than Go's own, such as file:///DIR. Where no database can be asked it fails.
func (Check) Vulnerabilities(ctx context.Context, version, database *string, released *bool) error {
	debs, err := looked(ctx, flag(version, "SPIRE_VERSION"), isOn(released, "SPIRE_RELEASED"))
	if err != nil {
		return err
	}
	if len(debs) == 0 {
		fmt.Println("nothing is released yet, so nothing was looked at")
		return nil
	}
	return tests().Vulnerabilities(ctx, debs, flag(database, "SPIRE_VULNERABILITIES"))
}

// looked are the debs whose programs are looked at; none where nothing is released.
func looked(ctx context.Context, version string, released bool) ([]string, error) {
	if released {
		from, err := destination(flag(nil, "GITHUB_REPOSITORY"), true) // nothing is changed there
		if err != nil {
			return nil, err
		}
		return checkout().ReleasedDebs(ctx, from, runtime.GOARCH)
	}
	debs, err := checkout().BuiltDebs(pipeline.Options{Version: version})
	if err == nil && len(debs) == 0 {
		err = errors.New("nothing was built that could be looked at: build it, or say -released")
	}
	return debs, err
}
