package distro

import (
	"errors"
	"fmt"
	"time"
)

// ErrSkip is why a row did not run: this host cannot run it. Nothing is known
// about the packages then.
var ErrSkip = errors.New("cannot run on this host")

// Status is how a scenario ended.
type Status string

// The ways a scenario can end.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is one scenario on one row. Every scenario that was asked for has
// exactly one, also when the row never came up.
type Result struct {
	Distribution string // name of the place
	Arch         string
	Tier         Tier
	Scenario     string
	Status       Status
	Reason       string // empty when passed
	Checks       int    // how many "ok:" lines the scenario printed
	Seconds      float64
	Logs         string // folder with what was kept; empty if it never ran
}

// String is the result as one line.
func (r Result) String() string {
	return progress(r.Distribution, r.Scenario, time.Duration(r.Seconds*float64(time.Second)), r.note())
}

func (r Result) note() string {
	switch r.Status {
	case Failed:
		return "FAILED: " + r.Reason
	case Skipped:
		return "skipped: " + r.Reason
	}
	return ""
}

// Report is the results of one or more rows.
type Report []Result

// Count says how many results have the status.
func (r Report) Count(status Status) int {
	n := 0
	for _, result := range r {
		if result.Status == status {
			n++
		}
	}
	return n
}

// Err joins what failed; nil if nothing did. Skipped is not failed.
func (r Report) Err() error {
	var errs []error
	for _, result := range r {
		if result.Status == Failed {
			errs = append(errs, fmt.Errorf("%s %s: %s", result.Distribution, result.Scenario, result.Reason))
		}
	}
	return errors.Join(errs...)
}

// every gives each scenario the result that the whole place has.
func every(place Target, scenarios []string, err error) Report {
	status := Failed
	if errors.Is(err, ErrSkip) {
		status = Skipped
	}
	report := make(Report, len(scenarios))
	for i, name := range scenarios {
		report[i] = Result{Distribution: place.Name(), Arch: place.Arch, Tier: place.Tier, Scenario: name, Status: status, Reason: err.Error()}
	}
	return report
}

// progress is one line of what happens: row, step, time, and a note if any.
func progress(row, step string, took time.Duration, note string) string {
	line := fmt.Sprintf("%-15s %-9s %5.1fs", row, step, took.Seconds())
	if note != "" {
		line += "  " + note
	}
	return line
}
