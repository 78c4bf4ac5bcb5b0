package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// apart is a run as the reports of machines that tested a place each, which began
// one after the other.
func apart(t *testing.T, whole Run) (dir string) {
	t.Helper()
	dir = t.TempDir()
	places := map[string]int{}
	for _, result := range whole.Results {
		if _, ok := places[result.Place]; !ok {
			places[result.Place] = len(places)
		}
	}
	for place, i := range places {
		one := Run{Version: whole.Version, Start: whole.Start.Add(time.Duration(i) * time.Minute), Took: 5 * time.Minute}
		one.Results = slices.DeleteFunc(slices.Clone(whole.Results), func(r Result) bool { return r.Place != place })
		in := filepath.Join(dir, "test-"+place)
		if err := os.Mkdir(in, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Write(in, one); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestJoin(t *testing.T) {
	whole := sample()
	got, err := Join(apart(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	if got.Took != 14*time.Minute || !got.Start.Equal(whole.Start) { // the tenth place began after 9 minutes
		t.Errorf("it took %s from %s on", got.Took, got.Start)
	}
	slices.SortStableFunc(whole.Results, func(a, b Result) int { return strings.Compare(a.Place, b.Place) })
	whole.Took = got.Took
	want, err := Markdown(whole)
	if text, err2 := Markdown(got); err != nil || err2 != nil || text != want {
		t.Errorf("%v %v: the summary is\n%s, not\n%s", err, err2, text, want)
	}
}

func TestJoinNot(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"another version": {`{"Version": "1.13.2-1"}`, `"1.13.2-1"`},
		"no version":      {`{}`, `is of the version ""`},
		"no JSON":         {`<html>`, "is no report"},
	} {
		dir := apart(t, sample())
		in := filepath.Join(dir, "zzz")
		if err := os.Mkdir(in, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(in, Data), []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Join(dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "zzz") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	if _, err := Join(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no folder in it") {
		t.Errorf("an empty folder: %v", err)
	}
}
