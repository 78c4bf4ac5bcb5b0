package pipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
)

// List writes the names of the files that Build would make from a verified
// source, and which of them are there.
func (p Pipeline) List(o Options, w io.Writer) error {
	b, err := p.load(o)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, item := range b.expected() {
		state := "not built"
		if _, err := os.Stat(item); err == nil {
			state = "built"
		}
		fmt.Fprintf(table, "%s\t%s\n", filepath.Base(item), state)
	}
	return table.Flush()
}

// expected are the packages, binary and source, that a build of a verified source has.
func (b *build) expected() []string {
	tree := artifact.Tree{Version: b.options.Version, Verified: true}
	var files []string
	for _, arch := range b.options.Arches {
		for _, p := range b.packages {
			for _, f := range format.All() {
				if !slices.Contains(b.options.Formats, f.Name) {
					continue
				}
				item := format.Item{Source: b.source, Package: p, Tree: tree, Binary: artifact.Binary{Arch: arch}}
				file, err := f.FileName(item)
				if err == nil {
					files = append(files, filepath.Join(b.Dist.Version(tree.Label()), file))
				}
			}
		}
	}
	source := srcpkg.Source{Source: b.source, Tree: tree}
	for _, name := range source.FileNames(b.options.Formats) {
		files = append(files, filepath.Join(b.Dist.Version(tree.Label()), name))
	}
	return files
}

// Made are the names of all files that Build makes from a verified source, in
// order: the packages, what is in each, and how the programs were made.
func (p Pipeline) Made(o Options) ([]string, error) {
	b, err := p.load(o)
	if err != nil {
		return nil, err
	}
	return b.made(), nil
}

func (b *build) made() []string {
	var names []string
	for _, path := range b.expected() {
		name := filepath.Base(path)
		names = append(names, name)
		if _, ok := format.Of(name); ok {
			names = append(names, name+cycloneDX, name+spdx)
		}
	}
	for _, arch := range b.options.Arches {
		names = append(names, b.infoName(b.options.Version, arch))
	}
	slices.Sort(names)
	return names
}

// Clean removes dist with everything in it, when no other run works there.
func (p Pipeline) Clean(ctx context.Context) error {
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(string(p.Dist)); err != nil {
		return fmt.Errorf("removing %s: %w", string(p.Dist), err)
	}
	return nil
}
