package adoption

import (
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// spire is the main source.
var spire = pkgdef.Source{Name: "spire", Main: true, Title: "SPIRE", Module: "github.com/spiffe/spire"}

func findings() Findings {
	return Findings{
		Source: spire, Version: "1.15.3",
		Pin: pkgdef.Pin{Sum: "h1:sum", Commit: strings.Repeat("a", 40), Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), Vendor: "h1:vendor"},
		Licenses: []License{
			{Module: "example.org/a", Version: "v1.0.0", File: "LICENSE", Why: "not a known license: \"Do what\n`you` want\"", Guess: "MIT", Text: "Do what\n```\nyou want, @all\n"},
			{Module: "example.org/b", Version: "v2.0.0", Why: "no license text"},
		},
		Patches: []Patch{{"0001-a.patch", "--- a\n+++ a\n@@ -1 +1 @@\n-x\n+y"}, {"0002-b.patch", "can't find file to patch"}},
	}
}

func TestMarkdown(t *testing.T) {
	golden.Check(t, "waits.golden", findings().Markdown())
	nothing := findings()
	nothing.Licenses, nothing.Patches = nil, nil
	golden.Check(t, "nothing.golden", nothing.Markdown())
	if !findings().Waits() || nothing.Waits() {
		t.Error("it waits for nothing, or for something that is not there")
	}
}

// Another source's versions have branches and pull requests of their own.
func TestOtherSource(t *testing.T) {
	f := Findings{Source: pkgdef.Source{Name: "helper", Title: "A Helper", Module: "example.org/helper"}, Version: "1.15.3"}
	if f.Branch() != "adopt-helper-1.15.3" || f.title() != "Adopt A Helper 1.15.3" || f.marker() == findings().marker() {
		t.Errorf("%s, %s, %s", f.Branch(), f.title(), f.marker())
	}
	for _, want := range []string{"A Helper 1.15.3, as its module", "`srpm/helper/source.yaml`", "source:adopt -source=helper -version=1.15.3\n"} {
		if text := f.Markdown(); !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// GitHub takes so much and no more, however much has to be judged.
func TestMarkdownIsBounded(t *testing.T) {
	f := findings()
	for range 20 {
		f.Licenses = append(f.Licenses, License{Module: "example.org/" + strings.Repeat("m", 400), Text: strings.Repeat("word ", 5_000)})
		f.Patches = append(f.Patches, Patch{"0003-c.patch", strings.Repeat("ü", 20_000)})
	}
	text := f.Markdown()
	if n := len([]rune(text)); n > hub.IssueLimit || n < allLimit {
		t.Errorf("%d characters", n)
	}
	if !strings.HasSuffix(text, "nobody else pushes to it.\n") || strings.Count(text, "0003-c.patch") != 20 {
		t.Error("something is left out")
	}
}

func TestAdoption(t *testing.T) {
	a := findings().Adoption(pkgdef.Supported{Day: "2026-11-20"})
	if a.Version != "1.15.3" || a.Pin.Vendor != "h1:vendor" || a.Supported.Day != "2026-11-20" || len(a.Open) != 2 {
		t.Errorf("%+v", a)
	}
	if one := a.Open[0]; one.Module != "example.org/a" || one.File != "LICENSE" || one.License != "MIT" || one.Reason != "" || one.Text != "" {
		t.Errorf("%+v", one)
	}
}
