package pipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
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
	for _, name := range b.expected().Built {
		state := "not built"
		if _, err := os.Stat(filepath.Join(b.Dist.Version(b.options.Version), name)); err == nil {
			state = "built"
		}
		fmt.Fprintf(table, "%s\t%s\n", name, state)
	}
	return table.Flush()
}

// Expected are the names of a version's files, in order, made from a verified source.
type Expected struct {
	Built   []string // what Build makes
	Shipped []string // what Sign makes of that: the folder to release
}

// Expected says which files a version of a source has, with a number of the packaging.
func (p Pipeline) Expected(source string, arches []string) (func(version string, release int) Expected, error) {
	b, err := p.load(Options{Source: source, Arches: arches})
	if err != nil {
		return nil, err
	}
	return func(version string, release int) Expected {
		other := *b
		other.options.Version, other.source.Release = version, release
		return other.expected()
	}, nil
}

func (b *build) expected() (e Expected) {
	for _, name := range b.packageNames() {
		e.Built = append(e.Built, name)
		if _, ok := format.Of(name); ok {
			e.Built = append(e.Built, name+artifact.CycloneDX, name+artifact.SPDX)
		}
	}
	full := fmt.Sprintf("%s_%s-%d", b.source.Name, b.options.Version, b.source.Release)
	e.Shipped = []string{full + artifact.Provenance, artifact.SumsName, artifact.SumsSignature}
	for _, arch := range b.options.Arches {
		e.Built = append(e.Built, b.infoName(b.options.Version, arch))
		if slices.Contains(b.options.Formats, pkgdef.Deb) {
			e.Shipped = append(e.Shipped, full+"_"+architecture.Of(arch).Debian+artifact.BuildInfo)
		}
	}
	e.Shipped = append(e.Shipped, e.Built...)
	slices.Sort(e.Built)
	slices.Sort(e.Shipped)
	return e
}

// packageNames are the packages, binary and source.
func (b *build) packageNames() []string {
	tree := artifact.Tree{Version: b.options.Version, Verified: true}
	var names []string
	for _, arch := range b.options.Arches {
		for _, p := range b.packages {
			for _, f := range format.All() {
				if !slices.Contains(b.options.Formats, f.Name) {
					continue
				}
				item := format.Item{Source: b.source, Package: p, Tree: tree, Binary: artifact.Binary{Arch: arch}}
				if name, err := f.FileName(item); err == nil {
					names = append(names, name)
				}
			}
		}
	}
	source := srcpkg.Source{Source: b.source, Tree: tree}
	return append(names, source.FileNames(b.options.Formats)...)
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
