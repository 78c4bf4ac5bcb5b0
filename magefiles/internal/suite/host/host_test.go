package host

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// A row that only informs stops nothing, and is no pass either.
func TestInformingRow(t *testing.T) {
	var log strings.Builder
	counts := &tally.Tally{Log: &log}
	Count(counts, scenario.Report{
		{Distribution: "a", Tier: matrix.Blocking, Scenario: "x", Status: scenario.Failed, Reason: "broken"},
		{Distribution: "b", Tier: matrix.Informing, Scenario: "x", Status: scenario.Failed, Reason: "moved on"},
		{Distribution: "c", Tier: matrix.Blocking, Scenario: "x", Status: scenario.Skipped, Reason: "no registry"},
		{Distribution: "d", Tier: matrix.Blocking, Scenario: "x", Status: scenario.Passed},
	})
	_ = counts.Close()
	if !strings.HasSuffix(log.String(), "\n1 passed, 1 failed, 2 skipped\n") {
		t.Errorf("it does not end with the counts:\n%s", &log)
	}
	if !strings.Contains(log.String(), "SKIP b x (0.0 s): this row only informs, and it says: moved on") {
		t.Errorf("it says\n%s", &log)
	}
}

func TestPlaces(t *testing.T) {
	root := t.TempDir()
	yaml := ""
	for _, name := range []string{"one", "two", "three"} {
		yaml += "- {name: " + name + ", format: deb, image: {suite: x, packages: [systemd]}, architectures: [amd64, arm64], tier: blocking, end-of-life: rolling}\n"
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "tests"), 0o755), os.WriteFile(filepath.Join(root, "tests", "distros.yaml"), []byte(yaml), 0o600)); err != nil {
		t.Fatal(err)
	}
	for rows, want := range map[string]string{
		"":                      "one-arm64 two-arm64 three-arm64",
		"two-arm64":             "two-arm64",
		"three-arm64 one-arm64": "one-arm64 three-arm64",
		"one-arm64 one":         "tests/distros.yaml has no row one for arm64",
		"one-arm64 on tw":       "tests/distros.yaml has no row on, tw for arm64",
	} {
		places, err := Select(&tally.Tally{Log: io.Discard}, root, Selection{Rows: strings.Fields(rows), Arches: []string{"arm64"}})
		var got []string
		for _, place := range places {
			got = append(got, place.Name())
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("rows %q: %q, want %q", rows, strings.Join(got, " "), want)
		}
	}
}

// A run in which only what informs was looked at stops nothing, whatever it found;
// one in which nothing ran that blocks is no pass.
func TestOnlyInforming(t *testing.T) {
	for tier, want := range map[matrix.Tier]string{matrix.Informing: "", matrix.Blocking: "no test ran"} {
		counts := &tally.Tally{Log: io.Discard}
		Count(counts, scenario.Report{
			{Distribution: "a", Tier: tier, Scenario: "x", Status: scenario.Skipped, Reason: "toomanyrequests"},
			{Distribution: "b", Tier: matrix.Informing, Scenario: "x", Status: scenario.Failed, Reason: "moved on"},
		})
		err := counts.Close()
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", tier, err, want)
		}
	}
}

func TestCountReport(t *testing.T) {
	var log strings.Builder
	counts := &tally.Tally{Log: &log}
	Count(counts, scenario.Report{
		{Distribution: "debian-12", Scenario: "install", Status: scenario.Passed},
		{Distribution: "debian-12", Scenario: "purge", Status: scenario.Failed, Reason: "files are left", Logs: "dist/test/x"},
		{Distribution: "fedora", Scenario: "install", Status: scenario.Skipped, Reason: "no image"},
	})
	_ = counts.Close()
	for _, want := range []string{"FAIL debian-12 purge", "files are left (see dist/test/x)", "SKIP fedora install", "no image", "\n1 passed, 1 failed, 1 skipped\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &log)
		}
	}
}
