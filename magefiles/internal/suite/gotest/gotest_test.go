package gotest

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// events are the lines of `go test -json`.
func events(t *testing.T, lines string) *results {
	t.Helper()
	r := newResults()
	for line := range strings.Lines(lines) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		r.add(e)
	}
	return r
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		last  string
		says  []string
	}{
		"subtests count, not what they are in": {`{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestAB"}
{"Action":"pass","Package":"p"}`, "3 passed, 0 failed, 0 skipped", nil},
		"a subtest fails": {`{"Action":"output","Package":"p","Test":"TestA/one","Output":"    a_test.go:1: no good\n"}
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"FAIL p TestA/one", "a_test.go:1: no good"}},
		"what it is in fails": {`{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: the sum is wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"FAIL p TestA ", "the sum is wrong"}},
		"a skip says why": {`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:4: rpm is not installed\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, "0 passed, 0 failed, 1 skipped", []string{"SKIP p TestA", "rpm is not installed"}},
		"a package does not compile": {`{"ImportPath":"p [p.test]","Action":"build-output","Output":"a_test.go:3:27: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, "0 passed, 1 failed, 0 skipped", []string{"build failed", "undefined: x"}},
		"a package ends outside of its tests": {`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"exit status 3\n"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"exit status 3"}},
		"packages are apart": {`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"q","Test":"TestA"}
{"Action":"fail","Package":"q"}
{"Action":"fail","Package":"p"}`, "1 passed, 2 failed, 0 skipped", nil},
		"a package without tests": {`{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`, "0 passed, 0 failed, 0 skipped", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			counts := &tally.Tally{Log: &log}
			r := events(t, c.lines)
			r.count(counts)
			_ = counts.Close()
			if !strings.HasSuffix(log.String(), c.last+"\n") {
				t.Errorf("it does not end with %q:\n%s", c.last, &log)
			}
			for _, want := range c.says {
				if !strings.Contains(log.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, &log)
				}
			}
			if failed := !strings.Contains(c.last, " 0 failed"); r.failed != failed {
				t.Errorf("failed is %t", r.failed)
			}
		})
	}
}

// check runs the Go tests of a folder, and gives what that has come to.
func check(t *testing.T, root string, log io.Writer) error {
	t.Helper()
	counts := &tally.Tally{Log: log}
	counts.Run(t.Context(), tally.Check{Name: "unit", Run: func(ctx context.Context, counts *tally.Tally) error { return one(ctx, counts, root) }})
	return counts.Close()
}

// The go command itself, over a module with every kind of result.
func TestUnit(t *testing.T) {
	t.Setenv("GOTOOLCHAIN", "local")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	root := suitetest.Tree(t, map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.21\n",
		"a/a_test.go": `package a

import "testing"

func TestGood(t *testing.T) { t.Run("part", func(*testing.T) {}) }
func TestItself(t *testing.T) { t.Run("part", func(*testing.T) {}); t.Error("the sum is wrong") }
func TestSkip(t *testing.T) { t.Skip("there is no moon") }
`,
		"b/b_test.go": "package b\n\nfunc f() { undefinedThing() }\n",
		"c/c.go":      "package c\n",
		"d/d_test.go": "//go:build mage\n\npackage d\n\nimport \"testing\"\n\nfunc TestTagged(*testing.T) {}\n",
	})
	var log strings.Builder
	err := check(t, root, &log)
	if err == nil || err.Error() != "2 tests failed" {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"example.org/m/a TestItself", "the sum is wrong", "there is no moon", "undefinedThing", "\n3 passed, 2 failed, 1 skipped\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &log)
		}
	}
}

// Where the go command does not get as far as a test, that is a failure.
func TestUnitWithoutModule(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	var log strings.Builder
	root := suitetest.Tree(t, map[string]string{"go.mod": "this is no module\n"})
	if err := check(t, root, &log); err == nil || !strings.Contains(log.String(), "0 passed, 1 failed") {
		t.Errorf("error %v:\n%s", err, &log)
	}
}
