package upstream

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
)

// What the module proxy says of a commit is no more than its word.
func TestConfirm(t *testing.T) {
	server := hubtest.New(t)
	right, other := strings.Repeat("a", 40), strings.Repeat("b", 40)
	server.SetTag(spire, "v1.13.3", right)
	theirs, err := hub.Open(hub.Settings{Token: hubtest.Token, API: server.API(), Server: server.URL()}, spire)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ version, commit, want string }{
		"the same":       {"1.13.3", right, ""},
		"another":        {"1.13.3", other, "upstream's tag v1.13.3 is the commit " + right + ", but the module proxy says " + other + ": find out why"},
		"not said":       {"1.13.3", "", "but the module proxy says"},
		"no such tag":    {"1.13.4", right, "upstream has no tag v1.13.4"},
		"not a version":  {"../x", right, "../x"},
		"a hostile word": {"1.13.3", "\x1b[2J", `the module proxy says "\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := Confirm(t.Context(), theirs, Known{test.version, test.commit, "the module proxy"})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
