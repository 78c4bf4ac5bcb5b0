package upstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// Confirm compares the commit that a version was built as with upstream's own tag.
// The checksum database vouches for the files of a version, and not for its commit,
// which the module proxy names: nothing is released on its word alone.
func Confirm(ctx context.Context, theirs *hub.Repository, known Known) error {
	tags, err := theirs.Tags(ctx)
	if err != nil {
		return fmt.Errorf("asking upstream for the commit of %s: %w", known.Version, err)
	}
	version, err := ParseVersion(known.Version)
	if err != nil {
		return err
	}
	m := &maker{known: []Known{known}, states: map[string]*state{}}
	m.tags(tags)
	s := m.states[known.Version]
	if s == nil {
		return fmt.Errorf("upstream has no tag v%s: nothing is released of what nobody has tagged", version)
	}
	var errs []error
	for _, alarm := range m.moved(s) {
		errs = append(errs, errors.New(alarm))
	}
	return errors.Join(errs...)
}
