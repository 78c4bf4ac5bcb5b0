package apk

import (
	"context"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format/kit"
)

// signed are the packages. What comes from a repository is believed by its index; a file
// alone by its own signature.
var signed = []kit.Signed{{
	Suffix: ".apk",
	Sign:   func(ctx context.Context, by kit.Signer, from, to string) error { return by.APK(ctx, from, to) },
	Verify: func(ctx context.Context, by kit.Verifier, file string) error { return by.APK(ctx, file) },
}}
