package predecessor

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Leading are the versions that lead to the one under test, oldest first. A known
// version has only known ones before it. Of others, which upstream went on to,
// the module proxy says what there was in between.
func Leading(ctx context.Context, log io.Writer, source pkgdef.Source, under string) []string {
	numbers := slices.Collect(maps.Keys(source.Releases))
	if _, known := source.Releases[under]; !known {
		more, err := published(ctx, source)
		if err != nil {
			fmt.Fprintf(log, "upgrades are tested from the versions in source.yaml only: %v\n", err)
		}
		numbers = append(numbers, more...)
	}
	return earlier(numbers, under)
}

// published are the versions that the module proxy has.
func published(ctx context.Context, source pkgdef.Source) ([]string, error) {
	tool, err := gotool.Find(ctx, source.Toolchain.Version)
	if err != nil {
		return nil, err
	}
	out, err := tool.Command("list", "-m", "-versions", source.Module).In(os.TempDir()).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the module proxy for the versions of %s: %w", source.Module, err)
	}
	return strings.Fields(strings.TrimPrefix(strings.TrimSpace(out), source.Module)), nil
}

// earlier are of those numbers the ones that lead to the version under test,
// oldest first: the newest patch of the minor before it, and the oldest of its
// own. SPIRE is upgraded one minor at a time.
func earlier(numbers []string, under string) []string {
	current, err := version.NewVersion(under)
	if err != nil {
		return nil
	}
	known := map[int][]*version.Version{} // of the same major, by minor
	for _, number := range numbers {
		v, err := version.NewVersion(number)
		if err == nil && v.Prerelease() == "" && v.LessThan(current) && v.Segments()[0] == current.Segments()[0] {
			known[v.Segments()[1]] = append(known[v.Segments()[1]], v)
		}
	}
	var chain []string
	compare := func(a, b *version.Version) int { return a.Compare(b) }
	minor := current.Segments()[1]
	if before := known[minor-1]; len(before) > 0 {
		chain = append(chain, slices.MaxFunc(before, compare).String())
	}
	if same := known[minor]; len(same) > 0 {
		chain = append(chain, slices.MinFunc(same, compare).String())
	}
	return chain
}
