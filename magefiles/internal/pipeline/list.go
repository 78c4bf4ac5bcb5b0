package pipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
)

// List writes the names of the files that Build would make from a verified
// source, and which of them are there.
func (p Pipeline) List(o Options, w io.Writer) error {
	b, err := p.load(o)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, name := range b.inventory().Files().Built {
		state := "not built"
		if _, err := os.Stat(filepath.Join(b.Dist.Version(b.options.Version), name)); err == nil {
			state = "built"
		}
		fmt.Fprintf(table, "%s\t%s\n", name, state)
	}
	return table.Flush()
}

// Expected says which files a version of a source has, with a number of the packaging.
func (p Pipeline) Expected(source string, arches []string) (func(version string, release int) inventory.Files, error) {
	b, err := p.load(Options{Source: source, Arches: arches})
	if err != nil {
		return nil, err
	}
	return func(version string, release int) inventory.Files {
		v := b.inventory()
		v.Number, v.Source.Release = version, release
		return v.Files()
	}, nil
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
