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
	_, err := compare(ctx, theirs, known.Version, known)
	return err
}

// Tagged is what upstream's tags say.
type Tagged struct {
	Commit    string // of the version
	Supported []Line // the minor versions that upstream supports, newest first
}

// Compare is Confirm for a version of which the commit may not be known.
func Compare(ctx context.Context, theirs *hub.Repository, known Known) (Tagged, error) {
	if known.Commit == "" {
		return compare(ctx, theirs, known.Version)
	}
	return compare(ctx, theirs, known.Version, known)
}

func compare(ctx context.Context, theirs *hub.Repository, wanted string, known ...Known) (Tagged, error) {
	version, err := ParseVersion(wanted)
	if err != nil {
		return Tagged{}, err
	}
	tags, err := theirs.Tags(ctx)
	if err != nil {
		return Tagged{}, fmt.Errorf("asking upstream for the commit of %s: %w", version, err)
	}
	m := &maker{known: known, states: map[string]*state{}}
	m.tags(tags)
	m.minors()
	s := m.states[version.String()]
	if s == nil {
		return Tagged{}, fmt.Errorf("upstream has no tag v%s: nothing is released of what nobody has tagged", version)
	}
	var errs []error
	for _, alarm := range m.moved(s) {
		errs = append(errs, errors.New(alarm))
	}
	return Tagged{s.commit, m.plan.Supported}, errors.Join(errs...)
}
