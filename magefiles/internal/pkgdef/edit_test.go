package pkgdef

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const definitionText = `# A definition.
module: example.org/up # trailing

supported:
  # two
  minors: ["1.13", "1.14"]
  day: 2026-01-01

# What is known.
releases:
  1.12.2:
    sum: h1:old
    commit: 0123456789012345678901234567890123456789
    time: 2025-05-19T14:29:14Z
    vendor: h1:oldvendor

  # The last one.
  1.14.10:
    sum: h1:last
    commit: 0123456789012345678901234567890123456789
    time: 2025-10-23T12:39:57Z

# Decisions.
allow:
  - module: example.org/a
    license: MIT
    reason: >-
      because of
      this
    text: |
      one

      # not a comment

# The end.
`

func adoption(version string, open ...Open) Adoption {
	return Adoption{
		Version: version, Open: open, Supported: Supported{Minors: []string{"1.14", "1.15"}, Day: "2026-05-20"},
		Pin: Pin{Sum: "h1:new", Commit: strings.Repeat("a", 40), Time: time.Date(2026, 5, 20, 10, 0, 0, 0, time.FixedZone("", 7200)), Vendor: "h1:newvendor"},
	}
}

func adopt(t *testing.T, a Adoption, text string) string {
	t.Helper()
	content, err := a.Adopt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	again, err := a.Adopt(content)
	if err != nil || string(again) != string(content) {
		t.Errorf("the second time it is (%v)\n%s", err, cmp.Diff(string(content), string(again)))
	}
	return string(content)
}

const adoptedPin = `    sum: h1:new
    commit: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    time: 2026-05-20T08:00:00Z
    vendor: h1:newvendor
`

// All that was there stays: comments, blank lines, order, other people's style.
func TestAdopt(t *testing.T) {
	supported := strings.NewReplacer(`["1.13", "1.14"]`, `["1.14", "1.15"]`, "day: 2026-01-01", "day: 2026-05-20").Replace(definitionText)
	opened := "      # not a comment\n" + `  # To be judged: not a known license: "x # y ?"
  - module: example.org/b
    file: 'LICENSE: x'
    license: MIT
    reason: ""
  # To be judged: no license text
  - module: example.org/c
    license: ""
    reason: ""
`
	open := []Open{
		{Allowance{Module: "example.org/b", File: "LICENSE: x", License: "MIT"}, "not a known license: \"x\n# y\u202e ?\""},
		{Allowance{Module: "example.org/c"}, "no license text"},
	}
	for name, c := range map[string]struct {
		a        Adoption
		old, new string
	}{
		"the newest":     {adoption("1.15.0"), "39:57Z\n", "39:57Z\n  1.15.0:\n" + adoptedPin},
		"in between":     {adoption("1.14.9"), "h1:oldvendor\n", "h1:oldvendor\n  1.14.9:\n" + adoptedPin},
		"the oldest":     {adoption("1.9.9"), "releases:\n", "releases:\n  1.9.9:\n" + adoptedPin},
		"open decisions": {adoption("1.15.0", append(open, Open{Allowance: Allowance{Module: "example.org/a"}})...), "39:57Z\n\n", "39:57Z\n  1.15.0:\n" + adoptedPin + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			want := strings.Replace(supported, c.old, c.new, 1)
			if len(c.a.Open) > 0 {
				want = strings.Replace(want, "      # not a comment\n", opened, 1)
			}
			if diff := cmp.Diff(want, adopt(t, c.a, definitionText)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is there is completed, and otherwise stays.
func TestAdoptKnown(t *testing.T) {
	a := adoption("1.14.10")
	a.Supported = Supported{}
	a.Pin = Pin{Sum: "h1:last", Commit: "0123456789012345678901234567890123456789", Time: time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC), Vendor: "h1:v"}
	want := strings.Replace(definitionText, "39:57Z\n", "39:57Z\n    vendor: h1:v\n", 1)
	if diff := cmp.Diff(want, adopt(t, a, definitionText)); diff != "" {
		t.Error(diff)
	}
	a.Pin.Sum = "h1:other"
	if _, err := a.Adopt([]byte(definitionText)); err == nil || !strings.Contains(err.Error(), "1.14.10 is {Sum:h1:last") {
		t.Errorf("another sum: %v", err)
	}
}

// A definition may lack what is written.
func TestAdoptBegins(t *testing.T) {
	open := Open{Allowance{Module: "example.org/b", File: "LICENSE"}, "why"}
	const entry = "allow:\n  # To be judged: why\n  - module: example.org/b\n    file: LICENSE\n    license: \"\"\n    reason: \"\"\n"
	for text, want := range map[string]string{
		"module: x":              "module: x\n\nreleases:\n  1.15.0:\n" + adoptedPin + "\n" + entry,
		"allow:\nmodule: x\n":    entry + "module: x\n\nreleases:\n  1.15.0:\n" + adoptedPin,
		"releases:\n\nallow:\n#": "releases:\n  1.15.0:\n" + adoptedPin + "\n" + entry + "#\n",
	} {
		if diff := cmp.Diff(want, adopt(t, adoption("1.15.0", open), text)); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"releases: {}\n":               "releases: write it with a line for each entry (line 1)",
		"a: 1\nallow: [{module: x}]\n": "allow: write it with a line for each entry (line 2)",
		"- a\n":                        "no mapping", "a: [\n": "yaml", "unknown: 1\n": "unknown",
	} {
		if _, err := adoption("1.15.0", open).Adopt([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error lacks %q: %v", text, want, err)
		}
	}
}

// Names that others chose end neither an entry nor a line.
func TestAdoptHostile(t *testing.T) {
	for _, name := range []string{"a\n  - module: b", "x: y", "'", "\"", "# z", "*a", "&a", "\u2028", "- -", "{", strings.Repeat("long ", 100)} {
		open := Open{Allowance{Module: name, File: name, License: name}, name}
		text := adopt(t, adoption("1.15.0", open), definitionText)
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "source.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var source Source
		if err := Decode(filepath.Join(root, "source.yaml"), &source); err != nil || len(source.Allow) != 2 || source.Allow[1] != open.Allowance {
			t.Errorf("%q: %v %+v", name, err, source.Allow)
		}
	}
}

// The real definition takes a version, and is refused until the decision is made.
func TestAdoptReal(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(checkout, "srpm", "spire", "source.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a := adoption("1.15.3", Open{Allowance{Module: "example.org/b", File: "LICENSE", License: "MIT"}, "why"})
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "srpm", commonDir), os.DirFS(filepath.Join(checkout, "srpm", commonDir))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "srpm", "spire", "source.yaml")
	put := func(text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text := adopt(t, a, string(content))
	put(text)
	_, err = LoadSource(root, "spire")
	want := file + ": allow: example.org/b LICENSE: the reason is empty: read the license, and write why it may be shipped"
	if fmt.Sprint(err) != want {
		t.Errorf("the error is %v, not %s", err, want)
	}
	open, err := LoadUndecided(root, "spire")
	before, err2 := LoadSource(checkout, "spire")
	if err != nil || err2 != nil || len(open.Undecided) != 1 || len(open.Allow) != len(before.Allow) {
		t.Errorf("%v %v: undecided are %+v", err, err2, open.Undecided)
	}
	put(strings.Replace(text, `reason: ""`, "reason: It is MIT.", 1))
	decided, err := LoadSource(root, "spire")
	if err != nil || len(decided.Allow) != len(before.Allow)+1 || decided.Releases["1.15.3"].Vendor != "h1:newvendor" {
		t.Errorf("decided: %v", err)
	}
}
