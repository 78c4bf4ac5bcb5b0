package pkgdef

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is written of vulnerabilities is in the definitions' own words.
func TestNotices(t *testing.T) {
	spire, err := LoadSource(checkout, "spire")
	if err != nil {
		t.Fatal(err)
	}
	opa, err := LoadSource(checkout, "opa")
	if err != nil {
		t.Fatal(err)
	}
	if len(spire.Notices) == 0 || len(opa.Notices) == 0 || spire.Notices[0].Source != "spire" || len(opa.Notices[0].IDs) == 0 {
		t.Errorf("%+v, %+v", spire.Notices, opa.Notices)
	}
	if helper, err := LoadSource(checkout, "spiffe-helper"); err != nil || len(helper.Notices) > 0 {
		t.Errorf("a source without any: %+v, %v", helper.Notices, err)
	}
}

func TestNoticesRefused(t *testing.T) {
	const good = `notices:
  - ids: [CVE-2026-12345, GHSA-m7vp-hqwv-7m5x, GO-2026-1234]
    title: A title
    fixed: [1.13.4, 1.14.5-2, 1.15.9]
    severity: important
    date: 2026-03-03
    references: [https://example.org/a]
    from: a place
  - title: Another
    fixed: [1.14.2]
    date: 2026-03-03
    references: [https://example.org/b]
    from: a place
`
	for name, c := range map[string]struct{ old, now, want string }{
		"right":              {"", "", ""},
		"a bad CVE":          {"CVE-2026-12345", "CVE-26-12345", `ids: "CVE-26-12345" is not of the form`},
		"a bad GHSA":         {"GHSA-m7vp-hqwv-7m5x", "GHSA-m7vp-hqwv-7m5a", `"GHSA-m7vp-hqwv-7m5a" is not of the form`},
		"a bad GO":           {"GO-2026-1234", "GO-1234", `"GO-1234" is not of the form`},
		"an ID twice":        {"GO-2026-1234", "CVE-2026-12345", "ids: CVE-2026-12345 is there twice"},
		"an ID of another":   {"  - title: Another", "  - ids: [CVE-2026-12345]\n    title: Another", `"Another": ids: CVE-2026-12345 is there twice`},
		"a bad version":      {"1.13.4,", "v1.13.4,", `version "v1.13.4" is not of the form`},
		"a bad release":      {"1.14.5-2", "1.14.5-02", `"1.14.5-02" is not of the form`},
		"an unknown minor":   {"1.15.9", "1.16.0", "no version 1.16.0 is known, but those up to 1.15"},
		"an unknown release": {"1.14.5-2", "1.14.5-99", "no packaging 1.14.5-99 is known"},
		"a version twice":    {"1.14.5-2", "1.13.4", "fixed: 1.13.4 comes after 1.13.4"},
		"no order":           {"[1.13.4, 1.14.5-2,", "[1.14.5-2, 1.13.4,", "fixed: 1.13.4 comes after 1.14.5-2"},
		"no version":         {"[1.14.2]", "[]", "fixed: there has to be a version"},
		"a bad severity":     {"important", "high", `severity: "high" is none of low, moderate, important, critical`},
		"a bad day":          {"date: 2026-03-03\n    references: [https://example.org/a]", "date: March\n    references: [https://example.org/a]", `date: "March" is not`},
		"no title":           {"title: Another", "title: ''", `title: "" is not one line`},
		"nowhere from":       {"    from: a place\n  -", "  -", `from: "" is not one line`},
		"no reference":       {"[https://example.org/b]", "[]", "references: there has to be one"},
		"a bad reference":    {"[https://example.org/b]", "['http://example.org/b']", `"http://example.org/b" is no https:// address`},
		"an unknown key":     {"title: Another", "title: Another\n    fix: 1.0.0", "field fix not found"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.CopyFS(filepath.Join(root, "srpm"), os.DirFS(filepath.Join(checkout, "srpm"))); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(good, c.old) {
				t.Fatalf("there is no %q to change", c.old)
			}
			file := filepath.Join(root, "srpm", "spire", noticesFile)
			if err := os.WriteFile(file, []byte(strings.Replace(good, c.old, c.now, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadSource(root, "spire")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), noticesFile)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A source that says nothing of what upstream supports knows its own versions.
func TestNoticesOfOthers(t *testing.T) {
	s := Source{Version: "1.4.2", Release: 1}
	for version, want := range map[string]bool{"1.4.2": true, "1.4.2-1": true, "1.4.2-2": false, "1.4.3": false, "1.5.0": false, "1.3.9": true} {
		var fix Fix
		if err := fix.UnmarshalText([]byte(version)); err != nil {
			t.Fatal(err)
		}
		if got := s.knows([]Fix{fix}) == nil; got != want {
			t.Errorf("%s is known: %v", version, got)
		}
	}
}
