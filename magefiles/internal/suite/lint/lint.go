// Package lint has other people's programs read what is written here, and what was built.
package lint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// File names the programs whose words depend on their version.
const File = "tests/linters.yaml"

// Find is the place that has one of them, by its package, in the version that is
// named: this machine or a root. Where that cannot be had, the check is skipped: what
// another version says would be no fault of ours.
func Find(ctx context.Context, c subject.Checkout, name string) (toolroot.Root, error) {
	tools, err := pkgdef.LoadTools(filepath.Join(c.Root, File))
	if err != nil {
		return toolroot.Root{}, err
	}
	finder, err := toolroot.Cached(c.Log)
	if err != nil {
		return toolroot.Root{}, err
	}
	place, err := finder.FindFor(ctx, tools, name)
	var other toolroot.Other
	switch {
	case errors.As(err, &other):
		place.Unpinned = other.Error()
	case err != nil:
		return toolroot.Root{}, err
	}
	if place.Unpinned != "" {
		return toolroot.Root{}, tally.Skip(fmt.Sprintf("what %s says depends on its version, and that in %s cannot be had: %s", name, File, place.Unpinned))
	}
	return place, nil
}

// By has a linter read files, whose paths are absolute; it works in the checkout.
func By(ctx context.Context, c subject.Checkout, name string, options []string, files ...string) error {
	place, err := Find(ctx, c, name)
	if err != nil {
		return err
	}
	folders := []string{c.Root, os.TempDir()}
	for _, file := range files {
		if dir := filepath.Dir(file); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	// A root has no language of the machine's.
	command := run.New(name, slices.Concat(options, files)...).In(c.Root).WithEnv("LC_ALL=C.UTF-8")
	return c.Said(ctx, place.Command(command, folders...))
}
