package rebuild

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// result is a build of the given files, with the sum of each.
func result(sums map[string]string) subject.Part {
	b := subject.Part{}
	for name, sum := range sums {
		b.Result.Files = append(b.Result.Files, artifact.File{Path: "/first/dist/1.13.3/" + name, SHA256: sum})
	}
	return b
}

func TestCompare(t *testing.T) {
	one, two := strings.Repeat("a", 64), strings.Repeat("b", 64)
	first := map[string]string{"x.deb": one, "x.rpm": two}
	for name, c := range map[string]struct {
		second string
		want   []string // in the error; none for a success
	}{
		"same":               {one + "  x.deb\n" + two + "  x.rpm\n", nil},
		"other order":        {two + "  x.rpm\n" + one + "  x.deb\n", nil},
		"one differs":        {one + "  x.deb\n" + one + "  x.rpm\n", []string{"x.rpm came out otherwise"}},
		"both differ":        {two + "  x.deb\n" + one + "  x.rpm\n", []string{"x.deb came out otherwise", "x.rpm came out otherwise"}},
		"one is missing":     {one + "  x.deb\n", []string{"x.rpm came out otherwise", "made 1 files, the first 2"}},
		"one more":           {one + "  x.deb\n" + two + "  x.rpm\n" + two + "  y.rpm\n", []string{"made 3 files, the first 2"}},
		"one by other name":  {one + "  x.deb\n" + two + "  y.rpm\n", []string{"x.rpm came out otherwise"}},
		"a name that begins": {one + "  x.deb.old\n" + two + "  x.rpm\n", []string{"x.deb came out otherwise"}},
		"nothing":            {"", []string{"x.deb came out otherwise", "x.rpm came out otherwise"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := compare(result(first), suitetest.Tree(t, map[string]string{"SHA256SUMS": c.second}))
			if (err != nil) != (len(c.want) > 0) {
				t.Errorf("error %v", err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
	if err := compare(result(first), t.TempDir()); err == nil {
		t.Error("a build without a list of sums is as good as the first")
	}
}
