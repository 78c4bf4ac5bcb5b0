package scenario

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

func TestOnJobPage(t *testing.T) {
	summary, page := filepath.Join(t.TempDir(), "summary.md"), filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(summary, []byte("matrix\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GITHUB_STEP_SUMMARY", "")
	if err := onJobPage(summary); err != nil {
		t.Errorf("without a page: %v", err)
	}
	t.Setenv("GITHUB_STEP_SUMMARY", page)
	if err := errors.Join(onJobPage(summary), onJobPage(summary)); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(page); string(text) != "matrix\nmatrix\n" {
		t.Errorf("the page has %q, %v", text, err)
	}
}

// TestRan: each row that blocks was really tested.
func TestRan(t *testing.T) {
	root := t.TempDir()
	yaml := ""
	for name, tier := range map[string]string{"one": "blocking", "other": "informing"} {
		yaml += "- {name: " + name + ", format: deb, image: {suite: x, packages: [systemd]}, architectures: [amd64, arm64], tier: " + tier + ", end-of-life: rolling}\n"
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "tests"), 0o755), os.WriteFile(filepath.Join(root, "tests", "distros.yaml"), []byte(yaml), 0o600)); err != nil {
		t.Fatal(err)
	}
	good := []report.Result{
		{Place: "one", Arch: "amd64", Tier: "blocking", Scenario: "a", Status: report.Passed, Checks: 1},
		{Place: "one", Arch: "amd64", Tier: "blocking", Scenario: "b", Status: report.Skipped, Reason: "elsewhere"},
		{Place: "one-arm64", Arch: "arm64", Tier: "blocking", Scenario: "a", Status: report.Passed, Checks: 1},
		{Place: "other", Arch: "amd64", Tier: "informing", Scenario: "a", Status: report.Failed, Reason: "moved on"},
	}
	for name, c := range map[string]struct {
		change func([]report.Result) []report.Result
		want   string
	}{
		"all ran":         {func(r []report.Result) []report.Result { return r }, ""},
		"no report":       {func(r []report.Result) []report.Result { return slices.Delete(r, 2, 3) }, "one-arm64: nothing ran there: no report is about it"},
		"one that failed": {func(r []report.Result) []report.Result { r[1].Status = report.Failed; return r }, "one: b failed: elsewhere"},
		"no image": {func(r []report.Result) []report.Result {
			r[2].Status, r[2].Checks, r[2].Reason = report.Skipped, 0, "toomanyrequests"
			return r
		}, "one-arm64: nothing ran there: toomanyrequests"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "all"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := report.Write(filepath.Join(dir, "all"), report.Run{Version: "1.2.3-1", Results: c.change(slices.Clone(good))}); err != nil {
				t.Fatal(err)
			}
			err := Ran(root, dir)
			if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// The newest place of each package manager is not among the older ones, and an image of a
// registry takes nothing from anybody.
func TestOlder(t *testing.T) {
	place := func(name, format, client, suite string) matrix.Target {
		return matrix.Target{Distribution: matrix.Distribution{Name: name, Format: format, Manager: client, Image: matrix.Image{Suite: suite}}, Arch: "amd64"}
	}
	got := older([]matrix.Target{
		place("debian-12", "deb", "", "bookworm"), place("debian-13", "deb", "", "trixie"), place("ubuntu", "deb", "", ""),
		place("rpm-4.18", "rpm", "", "bookworm"), place("rpm-4.20", "rpm", "", "trixie"), place("zypper", "rpm", "zypper", "bookworm"),
	})
	if want := "debian-12 rpm-4.18"; strings.Join(got, " ") != want {
		t.Errorf("%q, not %s", got, want)
	}
}

// Who waits gets none of the nights' scenarios, and is told so; where nobody plays it, nothing
// is said. Who asks for it by name gets it.
func TestForNow(t *testing.T) {
	dir := filepath.Join(suitetest.Root, "tests", "scenarios")
	all := []string{"plugins", "works"}
	at := func(row ...string) played {
		place := matrix.Target{Distribution: matrix.Distribution{Name: "one", Scenarios: row}, Arch: "amd64"}
		return played{Selection{}, []matrix.Target{place}, []string{"plugins"}, true}
	}
	for name, c := range map[string]struct {
		at   played
		said string
	}{
		"played here":      {at("plugins"), "SKIP scenario plugins (0.0 s): its plugin is compiled for it: whoever"},
		"played elsewhere": {at(), ""},
	} {
		var log strings.Builder
		got, err := c.at.forNow(&tally.Tally{Log: &log}, all, dir)
		if err != nil || strings.Join(got, " ") != "works" || !strings.Contains(log.String(), c.said) || c.said == "" && log.Len() > 0 {
			t.Errorf("%s: %q, %v; it said %q", name, got, err, log.String())
		}
	}
	if _, err := at().forNow(&tally.Tally{Log: io.Discard}, []string{"nothing"}, dir); err == nil {
		t.Error("a scenario that is not there is no error")
	}
	named := at("plugins")
	named.only.Scenarios = all
	if got, err := named.scenarios(&tally.Tally{Log: io.Discard}, subject.Build{}, dir); err != nil || !slices.Equal(got, all) {
		t.Errorf("by name: %q, %v", got, err)
	}
}

// Versions to upgrade from, which take as long to make as the one under test, are made where
// one of the scenarios may ask for them.
func TestAlone(t *testing.T) {
	own, emulated := matrix.Target{Arch: "amd64"}, matrix.Target{Arch: "s390x"}
	for _, c := range []struct {
		places    []matrix.Target
		scenarios string
		want      bool
	}{
		{[]matrix.Target{emulated}, "", true},
		{[]matrix.Target{emulated}, "works fresh", true},
		{[]matrix.Target{emulated}, "works upgrade", false},
		{[]matrix.Target{emulated, own}, "", false},
		{[]matrix.Target{own}, "works", false},
	} {
		if got := (Selection{Scenarios: strings.Fields(c.scenarios)}).alone(c.places); got != c.want {
			t.Errorf("%q at %v: %v", c.scenarios, c.places, got)
		}
	}
}
