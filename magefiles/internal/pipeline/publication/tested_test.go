package publication

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
)

func TestSeen(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, time.November, 24, 3, 0, 0, 0, time.UTC)
	reported := func(folder, version string, results ...report.Result) {
		t.Helper()
		content, err := json.Marshal(report.Run{Version: version, Start: at, Results: results})
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, folder), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, folder, report.Data), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	result := func(place string, status report.Status) report.Result {
		return report.Result{Place: place, Scenario: "works", Status: status}
	}
	reported("a", "SPIRE 1.14.5-1", result("debian-13", report.Passed), result("debian-13", report.Skipped), result("debian-sid", report.Skipped))
	reported("b", "SPIRE 1.14.5-1", result("debian-12-arm64", report.Passed), result("debian-12-arm64", report.Failed), result("<script>", report.Passed))
	reported("c", "SPIFFE Helper 0.11.0-1", result("debian-13", report.Passed))
	reported("cc", "SPIRE Controller Manager 0.6.4-3", result("debian-13", report.Failed))
	reported("d", "Something else 1.0.0-1", result("debian-13", report.Passed))
	sources := []pkgdef.Source{{Name: "spire", Title: "SPIRE"}, {Name: "spiffe-helper", Title: "SPIFFE Helper"}, {Name: "spire-controller-manager", Title: "SPIRE Controller Manager"}}
	places := Places([]matrix.Distribution{
		{Name: "debian-13", Architectures: []string{"amd64"}, Tier: matrix.Blocking},
		{Name: "debian-12", Architectures: []string{"arm64"}, Tier: matrix.Blocking},
		{Name: "debian-sid", Architectures: []string{"amd64"}, Tier: matrix.Informing},
	})
	got, err := Seen(dir, sources, places)
	want := []ledger.Tested{
		{Source: "spire", Version: "1.14.5-1", Place: "debian-13", Outcome: "works", Seen: at},
		{Source: "spire", Version: "1.14.5-1", Place: "debian-sid", Outcome: "not run", Seen: at},
		{Source: "spire", Version: "1.14.5-1", Place: "debian-12-arm64", Outcome: "failed", Seen: at},
		{Source: "spiffe-helper", Version: "0.11.0-1", Place: "debian-13", Outcome: "works", Seen: at},
		{Source: "spire-controller-manager", Version: "0.6.4-3", Place: "debian-13", Outcome: "failed", Seen: at},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if want := (frontpage.Place{Name: "debian-sid", Arch: "amd64", Informing: true}); places[2] != want {
		t.Errorf("the place is %+v", places[2])
	}
	if got, err := Seen(filepath.Join(dir, "none"), sources, places); len(got) > 0 || err != nil {
		t.Errorf("no reports: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", report.Data), []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Seen(dir, sources, places); err == nil || !strings.Contains(err.Error(), "is no report") {
		t.Errorf("no report: %v", err)
	}
}
