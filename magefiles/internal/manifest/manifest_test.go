package manifest

import "testing"

func TestString(t *testing.T) {
	for want, d := range map[string]Difference{
		`requires x: (absent), rebuilt: ""`:         {"requires x", Absent, ""},
		"scriptlet POSTIN: exit 0, rebuilt: exit 1": {"scriptlet POSTIN", "a\nexit 0", "a\nexit 1"},
	} {
		if got := d.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
