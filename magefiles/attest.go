//go:build mage

package main

import (
	"context"
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
)

// again is how what was verified is built once more.
type again struct {
	rebuild     bool
	attest, key string // where to attest it, and by which key's file
}

// attested builds again what is in a folder, and says what came out. The key is opened first:
// the rest takes minutes.
func (a again) attested(ctx context.Context, dir string) error {
	key, err := attestation.LoadOrMake(a.key)
	if err != nil {
		return err
	}
	link, name, err := checkout().Attest(ctx, dir)
	if err != nil {
		return err
	}
	path, err := link.Write(a.attest, name, key)
	if err == nil {
		fmt.Printf("%d packages came out the same: %s, by the key %s\n", len(link.Products), path, attestation.PublicOf(key).ID())
	}
	return err
}
