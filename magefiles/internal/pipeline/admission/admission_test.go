package admission

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Each file has to be what a build on another machine has made, where there must be one.
func TestAsRebuilt(t *testing.T) {
	ours, theirs := strings.Repeat("a", 64), strings.Repeat("b", 64)
	files := []artifact.File{{Path: "dist/x.deb", SHA256: ours}}
	for name, test := range map[string]struct {
		candidate Candidate
		want      string
	}{
		"built here":         {Candidate{}, ""},
		"built elsewhere":    {Candidate{Foreign: true}, "in SPIRE_REBUILT"},
		"in a workflow":      {Candidate{Workflow: true}, "in SPIRE_REBUILT"},
		"the same":           {Candidate{Foreign: true, Rebuilt: ours + "  x.deb\n"}, ""},
		"a job's outputs":    {Candidate{Workflow: true, Rebuilt: `{"amd64": "` + ours + ` x.deb"}`}, ""},
		"another":            {Candidate{Rebuilt: theirs + " x.deb"}, "not reproducible: x.deb has the SHA-256 " + ours},
		"of another file":    {Candidate{Rebuilt: ours + " y.deb"}, "x.deb was not made by the build on another machine"},
		"no digest":          {Candidate{Rebuilt: "x y"}, "is not a line of a checksum list"},
		"machines that vary": {Candidate{Rebuilt: ours + " x.deb " + theirs + " x.deb"}, "two digests of x.deb"},
	} {
		err := test.candidate.asRebuilt(files)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
