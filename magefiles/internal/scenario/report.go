package scenario

import (
	"errors"
	"fmt"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// Status is how a scenario ended.
type Status string

// The ways a scenario can end.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Result is one scenario on one target. Every scenario that was asked for has
// exactly one, also when the target never came up.
type Result struct {
	Distribution string // name of the target
	Arch         string
	Tier         matrix.Tier
	Scenario     string
	Status       Status
	Reason       string // empty when passed
	Checks       int    // how many "ok:" lines the scenario printed
	Seconds      float64
	Logs         string // folder with what was kept; empty if it never ran
}

// String is the result as one line.
func (r Result) String() string {
	return container.Progress(r.Distribution, r.Scenario, time.Duration(r.Seconds*float64(time.Second)), r.note())
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

// Report is the results of one or more targets.
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

// every gives each scenario the result that the whole target has.
func every(target matrix.Target, scenarios []string, err error) Report {
	status := Failed
	if errors.Is(err, container.ErrSkip) {
		status = Skipped
	}
	report := make(Report, len(scenarios))
	for i, name := range scenarios {
		report[i] = Result{Distribution: target.Name(), Arch: target.Arch, Tier: target.Tier, Scenario: name, Status: status, Reason: err.Error()}
	}
	return report
}
