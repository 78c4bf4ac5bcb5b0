package pipeline

import (
	"context"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
)

// wanted is one package file to be.
type wanted struct {
	format format.Format
	item   format.Item
	parts  []provenance.License // see docs
}

// items makes the texts of all packages of one architecture and puts together
// what goes into each package, in every format.
func (b *build) items(ctx context.Context, info compile.Info) ([]wanted, error) {
	self, err := selfDigest()
	if err != nil {
		return nil, err
	}
	items := make([][]wanted, len(b.packages))
	group, ctx := errgroup.WithContext(ctx)
	for i, p := range b.packages {
		group.Go(func() (err error) {
			items[i], err = b.itemsOf(ctx, p, info, self)
			return err
		})
	}
	err = group.Wait()
	return slices.Concat(items...), err
}

// selfDigest names this program: texts that another one made may differ.
func selfDigest() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	sum, _, err := artifact.Digest(path)
	return sum, err
}

// binaryOf finds a package's binary among those of one architecture.
func binaryOf(p pkgdef.Package, info compile.Info) artifact.Binary {
	for _, binary := range info.Binaries {
		if binary.Name == p.Built() {
			return binary
		}
	}
	return artifact.Binary{} // never: all packages' commands are compiled
}

func (b *build) itemsOf(ctx context.Context, p pkgdef.Package, info compile.Info, self string) ([]wanted, error) {
	item := format.Item{Source: b.source, Package: p, Tree: b.tree, Binary: binaryOf(p, info), Unpinned: info.Unpinned != ""}
	docs, err := b.docs(ctx, &item, self)
	if err != nil {
		return nil, fmt.Errorf("writing the texts of %s: %w", p.Name, err)
	}
	var items []wanted
	for _, f := range format.All() {
		if f.Extra && !slices.Contains(b.options.Formats, f.Name) {
			continue // the others are told of in the source packages, too
		}
		item.Payload = p.Payload(f.Layout, item.Binary.Path, docs.Docs)
		if item.Scriptlets, err = scriptlets.Render(f.Scripts, p.Scriptlets(b.source, b.tree.Version)); err != nil {
			return nil, fmt.Errorf("writing the %s scriptlets of %s: %w", f.Name, p.Name, err)
		}
		items = append(items, wanted{f, item, docs.parts})
	}
	return items, nil
}
