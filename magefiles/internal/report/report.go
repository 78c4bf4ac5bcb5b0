// Package report turns the results of distribution tests into what people and
// programs read: a table for the terminal, JUnit XML for CI, a page for the
// browser, a summary in Markdown for a job's page, and data for Join.
//
// Reasons and logs are the words of programs that went wrong. Nothing is
// assumed of them: every form is whole and harmless whatever they say.
package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Run is all that a run of the distribution tests found out.
type Run struct {
	Version string // what was tested, such as SPIRE 1.13.3-1
	Start   time.Time
	Took    time.Duration
	// Results are in the order in which reports show them: places and scenarios
	// stand where they appear first. A place may lack scenarios.
	Results []Result
}

// Result is one scenario at one place.
type Result struct {
	Place    string // a distribution release on an architecture
	Arch     string // Go's name: amd64, arm64
	Tier     string // what a failure means: blocking, informing
	Scenario string
	Status   Status
	Reason   string // empty when passed
	Checks   int    // how many things the scenario made sure of
	Took     time.Duration
	// Log is the file with what the scenario said, relative to the report's
	// folder, with slashes; empty if it never ran. What is beside it was kept of
	// the same scenario.
	Log string
}

// Status is how a scenario ended.
type Status string

// The ways a scenario can end.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// The files that Write makes.
const (
	Page    = "index.html"
	JUnit   = "junit.xml"
	Summary = "summary.md"
	Data    = "results.json" // for Join
)

// Write makes the report's files in dir, where the logs are. The same run gives
// the same bytes. A result that has not the form of one is an error that names
// it, and nothing is written.
func Write(dir string, run Run) error {
	if err := write(dir, run); err != nil {
		return fmt.Errorf("reporting the distribution tests: %w", err)
	}
	return nil
}

func write(dir string, run Run) error {
	m, err := newMatrix(run)
	if err != nil {
		return err
	}
	// Where nothing ran, nobody has made it.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	logs, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	m.collect(logs)
	for _, file := range []struct {
		name   string
		render func(matrix) ([]byte, error)
	}{{JUnit, junit}, {Summary, summary}, {Page, page}, {Data, data}} {
		content, err := file.render(m)
		if err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
		if err := artifact.WriteBytes(filepath.Join(dir, file.name), 0o644, content); err != nil {
			return err
		}
	}
	return nil
}

// clean is the result with texts that every form can hold.
func (r Result) clean() Result {
	for _, name := range []*string{&r.Place, &r.Arch, &r.Tier, &r.Scenario} {
		*name = oneLine(*name)
	}
	r.Reason = plain(r.Reason)
	if r.Reason == "" && r.Status != Passed {
		r.Reason = "no reason was given"
	}
	return r
}

func (r Result) check() error {
	var errs []error
	if r.Place == "" || r.Scenario == "" {
		errs = append(errs, errors.New("a place and a scenario need names"))
	}
	if statuses := []Status{Passed, Failed, Skipped}; !slices.Contains(statuses, r.Status) {
		errs = append(errs, fmt.Errorf("status %q is not one of %v", r.Status, statuses))
	}
	if r.Log != "" && !filepath.IsLocal(filepath.FromSlash(r.Log)) {
		errs = append(errs, fmt.Errorf("log %q is not in the report's folder", r.Log))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("result of %q at %q: %w", r.Scenario, r.Place, err)
	}
	return nil
}
