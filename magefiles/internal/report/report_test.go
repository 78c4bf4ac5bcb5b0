package report

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

func TestGolden(t *testing.T) {
	dir := written(t, sample())
	for _, name := range []string{Page, JUnit, Summary} {
		golden.Check(t, name+".golden", read(t, dir, name))
	}
	golden.Check(t, "table.golden", table(t, sample()))
}

func table(t *testing.T, r Run) string {
	t.Helper()
	var b strings.Builder
	if err := Table(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The time zone of a value is no part of what it says.
func TestSameReportEverywhere(t *testing.T) {
	r := sample()
	want := written(t, r)
	r.Start = r.Start.In(time.FixedZone("elsewhere", 11*60*60))
	got := written(t, r)
	for _, name := range []string{Page, JUnit, Summary, Data} {
		if read(t, got, name) != read(t, want, name) {
			t.Errorf("another %s in another time zone", name)
		}
	}
}

func TestNothingRun(t *testing.T) {
	dir := written(t, Run{Version: "SPIRE 1.13.3-1"})
	if text := read(t, dir, Page); !strings.Contains(text, "Nothing was run.") || strings.Contains(text, "<table") {
		t.Errorf("the page says\n%s", text)
	}
	if text := table(t, Run{}); !strings.Contains(text, "nothing was run") {
		t.Errorf("the table says\n%s", text)
	}
	validate(t, dir)
}

func TestAllPassed(t *testing.T) {
	var r Run
	r.place("debian-12", "amd64", "blocking", "fresh")
	dir := written(t, r)
	for _, name := range []string{Page, Summary} {
		if text := read(t, dir, name); strings.Contains(text, ">Failed</h2>") || strings.Contains(text, "# Failed") || strings.Contains(text, "# Skipped") {
			t.Errorf("%s explains failures where there are none:\n%s", name, text)
		}
	}
}

// What is wrong is named, and nothing is written then.
func TestWrongResults(t *testing.T) {
	good := Result{Place: "debian-12", Scenario: "works", Status: Passed}
	for name, test := range map[string]struct {
		change func(*Result)
		want   string
	}{
		"no place":      {func(r *Result) { r.Place = " " }, "need names"},
		"no scenario":   {func(r *Result) { r.Scenario = "" }, "need names"},
		"no status":     {func(r *Result) { r.Status = "" }, `status ""`},
		"other status":  {func(r *Result) { r.Status = "flaky" }, `status "flaky" is not one of`},
		"log elsewhere": {func(r *Result) { r.Log = "../secret" }, `log "../secret" is not in the report's folder`},
		"absolute log":  {func(r *Result) { r.Log = "/etc/passwd" }, `log "/etc/passwd"`},
		"twice":         {func(*Result) {}, `"works" at "debian-12": there are two`},
	} {
		t.Run(name, func(t *testing.T) {
			bad, dir := good, t.TempDir()
			test.change(&bad)
			r := Run{Results: []Result{good, bad}}
			for _, err := range []error{Write(dir, r), Table(new(strings.Builder), r)} {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("the error is %v, want one with %s", err, test.want)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is there, %v", left, err)
			}
		})
	}
}

func TestCannotWrite(t *testing.T) {
	err := Write("/dev/null", sample())
	if err == nil || !strings.Contains(err.Error(), "reporting the distribution tests") {
		t.Errorf("the error is %v", err)
	}
}

// Places and scenarios stand where they appear first.
func TestOrder(t *testing.T) {
	r := Run{Results: []Result{
		{Place: "z", Scenario: "works", Status: Passed},
		{Place: "a", Scenario: "rough", Status: Passed},
		{Place: "z", Scenario: "fresh", Status: Passed},
	}}
	var got []string
	for line := range strings.Lines(table(t, r)) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{"place arch tier works rough fresh total", "z 0.0 - 0.0 -", "a - 0.0 - -"}
	if strings.Join(got[:3], "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What befell a whole place is told once; what has a log of its own, by itself.
func TestNotes(t *testing.T) {
	result := func(scenario, reason, log string) Result {
		return Result{Place: "debian-12", Scenario: scenario, Status: Failed, Reason: reason, Log: log}
	}
	for name, test := range map[string]struct {
		results []Result
		want    []string
	}{
		"one":             {[]Result{result("a", "x", "")}, []string{"a"}},
		"one of two":      {[]Result{result("a", "x", ""), {Place: "debian-12", Scenario: "b", Status: Passed}}, []string{"a"}},
		"all":             {[]Result{result("a", "x", ""), result("b", "x", "")}, []string{"all scenarios"}},
		"some":            {[]Result{result("a", "x", ""), result("b", "x", ""), result("c", "x", "c.txt")}, []string{"a, b", "c"}},
		"other reasons":   {[]Result{result("a", "x", ""), result("b", "y", "")}, []string{"a", "b"}},
		"each has a log":  {[]Result{result("a", "x", "a.txt"), result("b", "x", "b.txt")}, []string{"a", "b"}},
		"at other places": {[]Result{result("a", "x", ""), {Place: "sid", Scenario: "a", Status: Failed, Reason: "x"}}, []string{"a", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := newMatrix(Run{Results: test.results})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range m.Notes(Failed) {
				got = append(got, n.Names())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("notes are on %q, want %q", got, test.want)
			}
		})
	}
}

// Whoever reads a failure without a reason is told that there is none.
func TestNoReason(t *testing.T) {
	dir := written(t, Run{Results: []Result{{Place: "debian-12", Scenario: "works", Status: Failed, Reason: " \n"}}})
	for _, name := range []string{Page, JUnit, Summary} {
		if !strings.Contains(read(t, dir, name), "no reason was given") {
			t.Errorf("%s does not say that no reason was given", name)
		}
	}
}

// Where nothing ran, a report says so, into a folder that nothing has been kept in.
func TestWriteWhereNothingRan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dist", "test")
	run := Run{Version: "1.0.0", Results: []Result{{Place: "nowhere-1", Arch: "amd64", Tier: "blocking", Scenario: "works", Status: Skipped, Reason: "no image"}}}
	if err := Write(dir, run); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, Data)); err != nil {
		t.Error(err)
	}
}
