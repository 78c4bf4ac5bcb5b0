package pipeline

import (
	"context"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// Changelog is upstream's, of a version that was built here or elsewhere; empty where
// upstream has none.
func (p Pipeline) Changelog(ctx context.Context, name, version string) (string, error) {
	of, err := p.Source(name)
	if err != nil || of.Changelog == "" {
		return "", err
	}
	return source.Fetcher{Source: of, Dist: p.Dist.Of(of.Name), Log: p.Log}.Text(ctx, version, of.Changelog)
}
