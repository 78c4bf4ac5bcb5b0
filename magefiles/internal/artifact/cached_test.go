package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A value is made once for a key, and again where the key is another one, what it tells
// of is gone, or the record is no record; a failure leaves nothing.
func TestCached(t *testing.T) {
	path, made := filepath.Join(t.TempDir(), "value.json"), 0
	there := true
	get := func(key string, err error) (int, bool, error) {
		return Cached(path, key, func(int) bool { return there }, func() (int, error) { made++; return made, err })
	}
	failure := errors.New("failed")
	if _, _, err := get("a", failure); !errors.Is(err, failure) {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a failure was saved")
	}
	for i, c := range []struct {
		key   string
		there bool
		want  int
		found bool
	}{{"a", true, 2, false}, {"a", true, 2, true}, {"b", true, 3, false}, {"b", false, 4, false}, {"b", true, 4, true}} {
		there = c.there
		if got, found, err := get(c.key, nil); err != nil || got != c.want || found != c.found {
			t.Errorf("%d: %d, %t, %v", i, got, found, err)
		}
	}
	for i, record := range []string{"{", `{"Key": "b", "Files": [1]}`} {
		if err := os.WriteFile(path, []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, found, err := get("b", nil); err != nil || got != 5+i || found {
			t.Errorf("of the record %s: %d, %t, %v", record, got, found, err)
		}
	}
}
