package rebuild

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rebuild"
)

// What fails at a place that only informs is neither a pass nor a failure.
func TestVerdict(t *testing.T) {
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		tier matrix.Tier
		err  error
		want string
	}{
		"pass":            {matrix.Blocking, nil, "<nil>"},
		"failure":         {matrix.Blocking, wrong, "*errors.errorString"},
		"informing":       {matrix.Informing, wrong, "tally.Skip"},
		"informing, pass": {matrix.Informing, nil, "<nil>"},
		"cannot":          {matrix.Blocking, fmt.Errorf("x: %w", container.ErrSkip), "tally.Skip"},
	} {
		if got := fmt.Sprintf("%T", verdict(rebuild.Place{Tier: c.tier}, c.err)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.deb", "a-dbgsym.deb"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := nothingElse(dir, []string{"/dist/a.deb", "/dist/a-dbgsym.deb"}); err != nil {
		t.Error(err)
	}
	if err := nothingElse(dir, []string{"/dist/a.deb"}); err == nil || !strings.Contains(err.Error(), "a-dbgsym.deb") {
		t.Errorf("error %v", err)
	}
}
