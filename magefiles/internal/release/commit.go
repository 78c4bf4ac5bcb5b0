package release

import (
	"context"
	"fmt"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Commit is the commit of the repository at root, which a release's tag shall
// point to. A tree that has more in it than the commit is an error: nobody could
// build the same again.
func Commit(ctx context.Context, root string) (string, error) {
	changed, err := run.New("git", "status", "--porcelain").In(root).Output(ctx)
	if err != nil {
		return "", fmt.Errorf("a release is made of a commit: %w", err)
	}
	if first, _, _ := strings.Cut(changed, "\n"); first != "" {
		return "", fmt.Errorf("a release is made of a commit, and %s has changes that are in none (%s): commit them, or take them away", root, strings.TrimSpace(first))
	}
	return run.New("git", "rev-parse", "HEAD").In(root).Output(ctx)
}
