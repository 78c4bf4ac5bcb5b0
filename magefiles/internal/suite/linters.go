package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// lintersFile names the programs whose words depend on their version.
const lintersFile = "tests/linters.yaml"

// linter is the place that has one of them, by its package, in the version that is
// named: this machine or a root. Where that cannot be had, the check is skipped: what
// another version says would be no fault of ours.
func (s Suite) linter(ctx context.Context, name string) (toolroot.Root, error) {
	tools, err := pkgdef.LoadTools(filepath.Join(s.Root, lintersFile))
	if err != nil {
		return toolroot.Root{}, err
	}
	finder, err := toolroot.Cached(s.Log)
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
		return toolroot.Root{}, tally.Skip(fmt.Sprintf("what %s says depends on its version, and that in %s cannot be had: %s", name, lintersFile, place.Unpinned))
	}
	return place, nil
}

// linted has a linter read files, whose paths are absolute; it works in the checkout.
func (s Suite) linted(ctx context.Context, name string, options []string, files ...string) error {
	place, err := s.linter(ctx, name)
	if err != nil {
		return err
	}
	folders := []string{s.Root, os.TempDir()}
	for _, file := range files {
		if dir := filepath.Dir(file); !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	// A root has no language of the machine's.
	command := run.New(name, slices.Concat(options, files)...).In(s.Root).WithEnv("LC_ALL=C.UTF-8")
	return s.said(ctx, place.Command(command, folders...))
}
