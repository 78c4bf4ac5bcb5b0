package pipeline

import (
	"context"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Verify finds out whether files are what was shipped of this checkout's sources: see
// verify.Believed. The public log is asked where log says where it is.
func (p Pipeline) Verify(ctx context.Context, what, downloads string, trusted sign.Keyring, log verify.PublicLog) ([]verify.Verdict, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return nil, err
	}
	believed := verify.Believed{Keys: trusted, Sources: sources}
	if log.At != "" {
		log.Out = p.Log
		if believed.Log, err = log.Read(ctx, trusted); err != nil {
			return nil, err
		}
	}
	return believed.Files(ctx, what, downloads, p.Log)
}
