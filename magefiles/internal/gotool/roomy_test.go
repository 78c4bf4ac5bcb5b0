package gotool

import "testing"

func TestRoomy(t *testing.T) {
	for _, c := range []struct {
		free       int64
		processors int
		roomy      bool
	}{
		{8 << 30, 2, true},
		{8<<30 - 1, 2, false},
		{16 << 30, 4, true},
		{1 << 30, 1, false},
	} {
		if got := roomy(c.free, c.processors); (got != nil) != c.roomy {
			t.Errorf("with %d bytes for %d processors: %q, expected some: %v", c.free, c.processors, got, c.roomy)
		}
	}
}
