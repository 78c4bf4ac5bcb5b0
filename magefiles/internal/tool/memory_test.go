package tool

import "testing"

func TestFreeMemory(t *testing.T) {
	if got := FreeMemory(); got < 1<<20 || got > 1<<50 || got%1024 != 0 {
		t.Errorf("%d bytes", got)
	}
}
