package gotool

import (
	"strings"
	"testing"
)

func TestRoomy(t *testing.T) {
	for _, c := range []struct {
		free       int64
		processors int
		want       string
	}{
		{22 << 30, 2, "GOGC=off GOMEMLIMIT=5632MiB"},
		{16 << 30, 2, "GOGC=off GOMEMLIMIT=4096MiB"},
		{16<<30 - 1, 2, "GOGC=400"},
		{15 << 30, 4, "GOGC=400"},
		{12 << 30, 4, "GOGC=400"},
		{12<<30 - 4, 4, ""},
		{1 << 30, 1, ""},
	} {
		if got := strings.Join(roomy(c.free, c.processors), " "); got != c.want {
			t.Errorf("with %d bytes for %d processors: %q, want %q", c.free, c.processors, got, c.want)
		}
	}
}
