package source

import (
	"context"
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
)

// Known is what is known of a version without making its tree: by source.yaml or the
// checkout's own source, or else by the checksum database and the module proxy.
func (f Fetcher) Known(ctx context.Context, version string) (artifact.Tree, error) {
	asked, err := f.ask(ctx, Request{Version: version})
	if err != nil {
		return artifact.Tree{}, err
	}
	if pin, ok := f.Source.Releases[version]; ok {
		tree := asked.tree
		tree.Sum, tree.Commit, tree.Time = pin.Sum, pin.Commit, pin.Time
		return tree, nil
	}
	if f.Source.Own != "" {
		return asked.tree, nil
	}
	goTool, err := gotool.Find(ctx, "local")
	if err != nil {
		return artifact.Tree{}, err
	}
	from, err := f.download(ctx, goTool, asked)
	if err != nil {
		return artifact.Tree{}, fmt.Errorf("looking %s@v%s up: %w", f.Source.Module, version, err)
	}
	return from.tree, nil
}
