package pipeline

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// pack makes all package files, side by side as far as processors and memory
// allow, and leaves those alone that are right already. It puts the items in
// order of size; the files come in the same order.
func (b *build) pack(ctx context.Context, items []wanted) ([]artifact.File, error) {
	// The largest first: it decides when all are done.
	slices.SortStableFunc(items, func(a, b wanted) int { return cmp.Compare(b.item.Binary.Size, a.item.Binary.Size) })
	files := make([]artifact.File, len(items))
	budget := max(tool.FreeMemory()/2, 1)
	memory := semaphore.NewWeighted(budget)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, want := range items {
		group.Go(func() (err error) {
			// nfpm holds a package whole, at up to twice its payload's size.
			need := min(2*want.item.Binary.Size, budget)
			if err := memory.Acquire(ctx, need); err != nil {
				return err
			}
			defer memory.Release(need)
			files[i], err = b.packOne(want)
			return err
		})
	}
	return files, group.Wait()
}

func (b *build) packOne(want wanted) (artifact.File, error) {
	name, err := want.format.FileName(want.item)
	if err != nil {
		return artifact.File{}, err
	}
	key, err := want.format.Key(want.item, known(want.item.Binary))
	if err != nil {
		return artifact.File{}, err
	}
	path := filepath.Join(b.Dist.Version(b.tree.FullVersion()), name)
	record := b.Dist.Work(b.tree.FullVersion(), want.item.Binary.Arch, want.item.Package.Name, want.format.Name+".json")
	file, err := artifact.CachedFile(path, record, key, func() error { return writePackage(path, want) })
	if err == nil && file.Rebuilt {
		fmt.Fprintf(b.Log, "package %s: %s\n", name, file.Took.Round(time.Millisecond))
	}
	return file, err
}

// known answers for the binary, whose digest was just made sure of, and reads
// every other file.
func known(binary artifact.Binary) func(string) (string, error) {
	return func(path string) (string, error) {
		if path == binary.Path {
			return binary.SHA256, nil
		}
		sum, _, err := artifact.Digest(path)
		return sum, err
	}
}

func writePackage(path string, want wanted) error {
	scratch, err := os.MkdirTemp("", "spire-packages-")
	if err != nil {
		return fmt.Errorf("making a folder for scriptlets: %w", err)
	}
	defer os.RemoveAll(scratch)
	return artifact.Write(path, 0o644, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if err := want.format.Write(buffered, want.item, scratch); err != nil {
			return err
		}
		return buffered.Flush()
	})
}
