package pipeline

import (
	"context"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Verify finds out whether files are what was shipped of this checkout's sources: see
// verify.Believed.
func (p Pipeline) Verify(ctx context.Context, what, downloads string, trusted sign.Keyring) ([]verify.Verdict, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return nil, err
	}
	return verify.Believed{Keys: trusted, Sources: sources}.Files(ctx, what, downloads, p.Log)
}
