package suite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
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

// A row that only informs stops nothing, and is no pass either.
func TestInformingRow(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log}
	countReport(tally, distro.Report{
		{Row: "a", Tier: distro.Blocking, Scenario: "x", Status: distro.Failed, Reason: "broken"},
		{Row: "b", Tier: distro.Informing, Scenario: "x", Status: distro.Failed, Reason: "moved on"},
		{Row: "c", Tier: distro.Blocking, Scenario: "x", Status: distro.Skipped, Reason: "no registry"},
		{Row: "d", Tier: distro.Blocking, Scenario: "x", Status: distro.Passed},
	})
	if tally.failed != 1 || tally.skipped != 2 || tally.passed != 1 {
		t.Errorf("%d failed, %d skipped, %d passed", tally.failed, tally.skipped, tally.passed)
	}
	if !strings.Contains(log.String(), "SKIP b x (0.0 s): this row only informs, and it says: moved on") {
		t.Errorf("it says\n%s", &log)
	}
}
