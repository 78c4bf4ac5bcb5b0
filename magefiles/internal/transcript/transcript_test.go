package transcript

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What comes in pieces is read line by line, the last one at the end, and kept as it came.
func TestScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	for range 2 { // nothing of the first time is in the second
		said, err := OfScript(dir)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("x", 200)
		for _, text := range []string{"o", "k: a\nok", ": b\nSKIP: why\n", long + "\n \nFA", "IL: c"} {
			if _, err := said.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if said.Checks != 2 || said.Skip != "why" || said.Fail != "" || said.Latest() != long[:100] {
			t.Errorf("it has read %+v", said)
		}
		said.Close()
		if said.Fail != "c" || said.Last != "FAIL: c" {
			t.Errorf("at its end it has read %+v", said)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, "output.txt")); err != nil || string(kept) != "ok: a\nok: b\nSKIP: why\n"+long+"\n \nFAIL: c" {
			t.Errorf("it has kept %q, %v", kept, err)
		}
	}
}

func TestNowhereToKeep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := OfScript(filepath.Join(file, "y"))
	var path *os.PathError
	if said == nil || said.Checks != 0 || !errors.As(err, &path) || !strings.HasPrefix(err.Error(), "keeping the scenario's output: ") {
		t.Errorf("%+v, %v", said, err)
	}
}
