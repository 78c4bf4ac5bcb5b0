package suite

import (
	"path/filepath"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
)

// checkout is the repository that these tests are in.
var checkout = filepath.Join("..", "..", "..")

func TestDefinitions(t *testing.T) {
	if err := definitions(t.Context(), nil, subject.Checkout{Root: checkout}); err != nil {
		t.Error(err)
	}
	if err := definitions(t.Context(), nil, subject.Checkout{Root: t.TempDir()}); err == nil {
		t.Error("no definitions are good definitions")
	}
}
