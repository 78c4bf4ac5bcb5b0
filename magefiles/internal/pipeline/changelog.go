package pipeline

import (
	"context"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// Changelog is upstream's, of a version that was built here or elsewhere.
func (p Pipeline) Changelog(ctx context.Context, version string) (string, error) {
	upstream, err := pkgdef.LoadSource(p.Root, SourceName)
	if err != nil {
		return "", err
	}
	return source.Fetcher{Source: upstream, Dist: p.Dist, Log: p.Log}.Text(ctx, version, "CHANGELOG.md")
}
