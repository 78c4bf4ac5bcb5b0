// Package contents is what goes into each package: its texts and, with them, its entries
// and scriptlets in every format.
package contents

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef/scriptlets"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
)

// File is what one package file to be is made of.
type File struct {
	Format   format.Format
	Item     format.Item
	Licenses []provenance.License // of all that is linked into the program
}

// Maker makes contents.
type Maker struct {
	inventory.Version
	// Native finds the machine's own binaries of the same tree; it is asked for each package.
	Native func() (compile.Info, bool)
}

// Files makes the texts of all packages of one architecture and puts together what goes
// into each package, in every format; into that of an extra one, if it is asked for.
func (m Maker) Files(ctx context.Context, info compile.Info) ([]File, error) {
	files := make([][]File, len(m.Packages))
	group, ctx := errgroup.WithContext(ctx)
	for i, p := range m.Packages {
		group.Go(func() (err error) {
			files[i], err = m.of(ctx, p, info)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(files...), err
}

// binaryOf finds a package's binary among those of one architecture; of a package
// without a program no more is known than the architecture.
func binaryOf(p pkgdef.Package, info compile.Info) artifact.Binary {
	if !p.HasProgram() {
		return artifact.Binary{Arch: p.Arch(info.Arch)}
	}
	for _, binary := range info.Binaries {
		if binary.Name == p.Built() {
			return binary
		}
	}
	return artifact.Binary{} // never: all packages' commands are compiled
}

// of are one package's, in every format.
func (m Maker) of(ctx context.Context, p pkgdef.Package, info compile.Info) ([]File, error) {
	item := format.Item{Source: m.Source, Package: p, Tree: m.Tree, Binary: binaryOf(p, info), Unpinned: info.Unpinned != ""}
	texts, err := m.texts(ctx, item)
	if err != nil {
		return nil, fmt.Errorf("writing the texts of %s: %w", p.Name, err)
	}
	item.License, item.Modules = texts.License, texts.Modules
	docs := pkgdef.Docs{Dir: m.docs(item), Changelog: m.Source.Changelog != ""}
	if docs.PluginEnv, err = m.pluginEnv(item); err != nil {
		return nil, err
	}
	var files []File
	for _, f := range format.All() {
		if f.Extra && !slices.Contains(m.Formats, f.Name) {
			continue // the others are told of in the source packages, too
		}
		item.Payload = p.Payload(f.Layout, item.Binary.Path, docs)
		if item.Scriptlets, err = scriptlets.Render(f.Scripts, p.Scriptlets(m.Source, m.Tree.Version)); err != nil {
			return nil, fmt.Errorf("writing the %s scriptlets of %s: %w", f.Name, p.Name, err)
		}
		files = append(files, File{f, item, texts.Parts})
	}
	return files, nil
}
