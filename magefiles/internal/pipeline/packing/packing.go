// Package packing makes package files of their contents, and the lists of what is in them.
package packing

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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Packer packs the packages of a version.
type Packer struct {
	inventory.Version
	Log io.Writer
	// Quick compresses programs quickly instead of well.
	Quick bool
}

// Pack makes the package files of one architecture, each with its bills of materials. It
// puts the contents in order of size.
func (p Packer) Pack(ctx context.Context, all []contents.File) ([]artifact.File, error) {
	if err := p.compress(ctx, all); err != nil {
		return nil, err
	}
	files, err := p.pack(ctx, all)
	if err != nil {
		return nil, err
	}
	bills, err := p.bills(all, files)
	return slices.Concat(files, bills), err
}

// pack makes all package files, side by side as far as processors and memory
// allow, and leaves those alone that are right already. It puts the items in
// order of size; the files come in the same order.
func (p Packer) pack(ctx context.Context, items []contents.File) ([]artifact.File, error) {
	// The largest first: it decides when all are done.
	slices.SortStableFunc(items, func(a, b contents.File) int { return cmp.Compare(b.Item.Binary.Size, a.Item.Binary.Size) })
	files := make([]artifact.File, len(items))
	budget := max(tool.FreeMemory()/2, 1)
	memory := semaphore.NewWeighted(budget)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, want := range items {
		group.Go(func() (err error) {
			// nfpm holds a package whole, at up to twice its payload's size.
			need := min(2*want.Item.Binary.Size, budget)
			if err := memory.Acquire(ctx, need); err != nil {
				return err
			}
			defer memory.Release(need)
			files[i], err = p.packOne(want)
			return err
		})
	}
	return files, group.Wait()
}

func (p Packer) packOne(want contents.File) (artifact.File, error) {
	name, err := want.Format.FileName(want.Item)
	if err != nil {
		return artifact.File{}, err
	}
	key, err := want.Format.Key(want.Item, known(want.Item.Binary))
	if err != nil {
		return artifact.File{}, err
	}
	path := filepath.Join(p.Dist.Version(p.Tree.FullVersion()), name)
	record := p.Dist.Work(p.Tree.FullVersion(), want.Item.Binary.Arch, want.Item.Package.Name, want.Format.Name+".json")
	file, err := artifact.CachedFile(path, record, key, func() error { return write(path, want) })
	if err == nil && file.Rebuilt {
		fmt.Fprintf(p.Log, "package %s: %s\n", name, file.Took.Round(time.Millisecond))
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

func write(path string, want contents.File) error {
	scratch, err := os.MkdirTemp("", "spire-packages-")
	if err != nil {
		return fmt.Errorf("making a folder for scriptlets: %w", err)
	}
	defer os.RemoveAll(scratch)
	return artifact.Write(path, 0o644, func(w io.Writer) error {
		buffered := bufio.NewWriterSize(w, 1<<20)
		if err := want.Format.Write(buffered, want.Item, scratch); err != nil {
			return err
		}
		return buffered.Flush()
	})
}
