package licensing

import (
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Two packages that link the same have its license once; what a machine brings is not in
// the source.
func TestInTree(t *testing.T) {
	musl, sqlite := pkgdef.Library{Name: "musl"}, pkgdef.Library{Name: "sqlite", Place: "vendor/sqlite"}
	packages := []pkgdef.Package{{Libraries: []pkgdef.Library{musl, sqlite}}, {Libraries: []pkgdef.Library{musl}}}
	if got := libraries(packages); !slices.Equal(got, []pkgdef.Library{musl, sqlite}) {
		t.Errorf("libraries %+v", got)
	}
	if got := InTree(packages); !slices.Equal(got, []pkgdef.Library{sqlite}) {
		t.Errorf("in the tree are %+v", got)
	}
}
