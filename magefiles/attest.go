//go:build mage

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/attestation"
)

// again is how what was verified is built once more.
type again struct {
	rebuild     bool
	attest, key string // where to attest it, and by which key's file
}

// attested builds again what is in a folder, and says what came out.
func (a again) attested(ctx context.Context, dir string) error {
	if a.key == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return fmt.Errorf("finding a place for the key to attest by: %w", err)
		}
		a.key = filepath.Join(config, "spire-packages", "attest.key")
	}
	link, name, err := checkout().Attest(ctx, dir)
	if err != nil {
		return err
	}
	key, err := attestation.LoadOrMake(a.key)
	if err != nil {
		return err
	}
	content, err := link.Sign(key)
	if err != nil {
		return err
	}
	to := filepath.Join(a.attest, name)
	if strings.HasSuffix(a.attest, attestation.Suffix) {
		to, err = a.attest, artifact.WriteBytes(a.attest, 0o644, content)
	} else {
		err = attestation.Publish(a.attest, name, content, attestation.PublicOf(key))
	}
	if err == nil {
		fmt.Printf("%d packages came out the same: %s, by the key %s\n", len(link.Products), to, attestation.PublicOf(key).ID())
	}
	return err
}
