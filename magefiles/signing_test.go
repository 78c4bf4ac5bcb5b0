//go:build mage

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Upstream is asked before the key is looked for, but in a rehearsal, which may do
// without a network.
func TestOpener(t *testing.T) {
	right, other := strings.Repeat("a", 40), strings.Repeat("b", 40)
	for name, c := range map[string]struct {
		tag    string
		counts bool
		want   string // empty: that there is no key
		calls  bool
	}{
		"upstream says the same":    {right, true, "", true},
		"upstream says another one": {other, true, "nothing is signed: 1.13.3: upstream's tag v1.13.3 is the commit " + other, true},
		"a rehearsal":               {other, false, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := hubtest.New(t)
			s.SetTag("spiffe/spire", "v1.13.3", c.tag)
			none := []string{"SPIRE_UPSTREAM=" + s.URL()}
			for _, variable := range []string{sign.KeyVariable, sign.SecretVariable, sign.SecretFileVariable, sign.CommandVariable} {
				none = append(none, variable+"=")
			}
			for _, line := range append(s.Environ(), none...) {
				name, value, _ := strings.Cut(line, "=")
				t.Setenv(name, value)
			}
			t.Chdir("..")
			open, err := opener("", c.counts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = open(t.Context(), artifact.Tree{Version: "1.13.3", Commit: right, CommitBy: artifact.ProxysWord})
			if c.want == "" && !errors.Is(err, sign.ErrNoKey) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, sign.ErrNoKey)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if asked := len(s.Calls()) > 0; asked != c.calls {
				t.Errorf("upstream was asked: %t", asked)
			}
		})
	}
}
