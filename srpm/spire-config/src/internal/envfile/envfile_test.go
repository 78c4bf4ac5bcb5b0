package envfile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const before = "# a token\nA=1\n\n ; no\nB = \"two words\"\nC='x'\nD\nA=2"

func TestParse(t *testing.T) {
	want := map[string]string{"A": "2", "B": "two words", "C": "x"}
	if diff := cmp.Diff(want, Parse([]byte(before))); diff != "" {
		t.Error(diff)
	}
}

func TestEdits(t *testing.T) {
	for name, test := range map[string]struct {
		got  []byte
		want string
	}{
		"another value":         {Set([]byte(before), "A", "3"), "# a token\n\n ; no\nB = \"two words\"\nC='x'\nD\nA=3\n"},
		"the same value":        {Set([]byte(before), "A", "2"), before},
		"a new one":             {Set([]byte("A=1"), "T", "x"), "A=1\nT=x\n"},
		"the first of a file":   {Set(nil, "T", "x"), "T=x\n"},
		"none any more":         {Remove([]byte("A=1\nT=x\n"), "T"), "A=1\n"},
		"none, and never was":   {Remove([]byte("A=1"), "T"), "A=1"},
		"a name that is longer": {Remove([]byte("AT=1\n"), "A"), "AT=1\n"},
		"fit to be shown":       {Mask([]byte("# c\nT=x\nA=1\n"), "T"), "# c\nT=<token>\nA=<secret>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, string(test.got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
