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

// fileRecord is what a later run needs to know of a finished package.
type fileRecord struct{ Key, SHA256 string }

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
	start := time.Now()
	name, err := want.format.FileName(want.item)
	if err != nil {
		return artifact.File{}, err
	}
	file := artifact.File{Path: filepath.Join(b.Dist.Version(b.tree.FullVersion()), name)}
	key, err := want.format.Key(want.item, known(want.item.Binary))
	if err != nil {
		return artifact.File{}, err
	}
	record := b.Dist.Work(b.tree.FullVersion(), want.item.Binary.Arch, want.item.Package.Name, want.format.Name+".json")
	if b.unchanged(&file, record, key) {
		return file, nil
	}
	if err := b.writePackage(file.Path, want); err != nil {
		return artifact.File{}, err
	}
	if file.SHA256, file.Size, err = artifact.Digest(file.Path); err != nil {
		return artifact.File{}, err
	}
	file.Rebuilt, file.Took = true, time.Since(start)
	fmt.Fprintf(b.Log, "package %s: %s\n", name, file.Took.Round(time.Millisecond))
	return file, artifact.Save(record, fileRecord{key, file.SHA256})
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

func (b *build) unchanged(file *artifact.File, record, key string) bool {
	earlier, ok, err := artifact.Load[fileRecord](record)
	if err != nil || !ok || earlier.Key != key {
		return false
	}
	file.SHA256, file.Size, err = artifact.Digest(file.Path)
	return err == nil && file.SHA256 == earlier.SHA256
}

func (b *build) writePackage(path string, want wanted) error {
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
