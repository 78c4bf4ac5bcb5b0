//go:build mage

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/magefile/mage/mg"

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
