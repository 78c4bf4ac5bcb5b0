package deb

import (
	"context"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
)

// signed are the files of source packages: a deb has no place for a signature that apt
// or dpkg would look at. The .changes comes after the .dsc, in order of name.
var signed = []kit.Signed{
	{
		Suffix: ".dsc", Verify: verify,
		Sign: func(ctx context.Context, by kit.Signer, from, to string) error { return by.DSC(ctx, from, to) },
	},
	{
		Suffix: ".changes", Verify: verify,
		Sign: func(ctx context.Context, by kit.Signer, from, to string) error {
			return by.Changes(ctx, from, to, strings.TrimSuffix(to, "_source.changes")+".dsc")
		},
	},
}

func verify(_ context.Context, by kit.Verifier, file string) error {
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = by.Clear(text)
	}
	return err
}
