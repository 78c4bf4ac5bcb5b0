package pipeline

import (
	"context"
	"errors"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/sources"
)

// What ended a build is said, and not what became of the rest.
func TestFilesSayWhy(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	full := errors.New("the disk is full")
	// Source packages that cannot be begun end the build, whose own error is another.
	s := sources.Maker{Version: inventory.Version{Formats: []string{"dsc"}}}.Begin(ctx, func(error) {})
	fail(full)
	if _, err := new(build).files(ctx, nil, s); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}
