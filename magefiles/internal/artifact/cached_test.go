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

// A file is made once for a key, and again where it is not what was recorded of it.
func TestCachedFile(t *testing.T) {
	path, made := filepath.Join(t.TempDir(), "file"), 0
	get := func(key string) File {
		t.Helper()
		file, err := CachedFile(path, path+".json", key, func() error {
			made++
			return WriteBytes(path, 0o644, []byte(key))
		})
		if err != nil || file.Path != path || file.Size != 1 || file.SHA256 != DigestBytes([]byte(key)) {
			t.Errorf("%+v, %v", file, err)
		}
		return file
	}
	for i, c := range []struct {
		key, spoilt string
		rebuilt     bool
	}{{"a", "", true}, {"a", "", false}, {"b", "", true}, {"b", "x", true}, {"b", "", false}} {
		if c.spoilt != "" {
			write(t, path, c.spoilt)
		}
		if file := get(c.key); file.Rebuilt != c.rebuilt || file.Rebuilt != (file.Took > 0) {
			t.Errorf("%d: %+v", i, file)
		}
	}
	failure := errors.New("failed")
	if _, err := CachedFile(path, path+".json", "c", func() error { return failure }); !errors.Is(err, failure) || made != 3 {
		t.Errorf("%v; made %d times", err, made)
	}
	if get("b").Rebuilt {
		t.Error("the record of what is still there is lost")
	}
	// The form of the record is what earlier programs have written.
	if got, want := read(t, path+".json"), "{\n  \"Key\": \"b\",\n  \"SHA256\": \""+DigestBytes([]byte("b"))+"\"\n}\n"; got != want {
		t.Errorf("the record is %s, not %s", got, want)
	}
}

// What is there already is not written again.
func TestKeep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for i, c := range []struct {
		content string
		rebuilt bool
	}{{"a", true}, {"a", false}, {"b", true}} {
		file, err := Keep(path, []byte(c.content))
		if err != nil || file.Rebuilt != c.rebuilt || file.SHA256 != DigestBytes([]byte(c.content)) || read(t, path) != c.content {
			t.Errorf("%d: %+v, %v", i, file, err)
		}
	}
}
