package report

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// matrix is a run as rows by scenarios, with clean texts.
type matrix struct {
	Run
	Scenarios []string
	Rows      []*row
}

// row is one place.
type row struct {
	Place, Arch, Tier string
	cells             map[string]*cell // by scenario
}

// cell is a result with what was kept of it.
type cell struct {
	Result
	kept
}

func newMatrix(run Run) (matrix, error) {
	m := matrix{Run: run}
	m.Version = oneLine(run.Version)
	var errs []error
	for _, result := range run.Results {
		errs = append(errs, m.add(result.clean()))
	}
	return m, errors.Join(errs...)
}

func (m *matrix) add(r Result) error {
	if err := r.check(); err != nil {
		return err
	}
	if !slices.Contains(m.Scenarios, r.Scenario) {
		m.Scenarios = append(m.Scenarios, r.Scenario)
	}
	cells := m.rowOf(r).cells
	if cells[r.Scenario] != nil {
		return fmt.Errorf("result of %q at %q: there are two", r.Scenario, r.Place)
	}
	cells[r.Scenario] = &cell{Result: r}
	return nil
}

// rowOf is the row that the result belongs to, a new one if need be.
func (m *matrix) rowOf(r Result) *row {
	for _, row := range m.Rows {
		if row.Place == r.Place {
			return row
		}
	}
	m.Rows = append(m.Rows, &row{r.Place, r.Arch, r.Tier, map[string]*cell{}})
	return m.Rows[len(m.Rows)-1]
}

// collect looks at the logs of what failed.
func (m matrix) collect(logs *os.Root) {
	for _, row := range m.Rows {
		for _, cell := range row.cells {
			if cell.Status == Failed && cell.Log != "" {
				cell.kept = keptOf(logs, cell.Log)
			}
		}
	}
}

// inOrder are the row's cells as the matrix has its columns; nil is what was
// not run.
func (m matrix) inOrder(r *row) []*cell {
	cells := make([]*cell, len(m.Scenarios))
	for i, name := range m.Scenarios {
		cells[i] = r.cells[name]
	}
	return cells
}

// took is how long all of the row's scenarios took together.
func (r *row) took() time.Duration {
	var sum time.Duration
	for _, cell := range r.cells {
		sum += cell.Took
	}
	return sum
}

// count says how many results of the row have the status.
func (r *row) count(status Status) int {
	n := 0
	for _, cell := range r.cells {
		if cell.Status == status {
			n++
		}
	}
	return n
}

// Count says how many results have the status.
func (m matrix) Count(status Status) int {
	n := 0
	for _, row := range m.Rows {
		n += row.count(status)
	}
	return n
}

// Result is the run's outcome in a line.
func (m matrix) Result() string {
	var parts []string
	for _, status := range []Status{Failed, Passed, Skipped} {
		if n := m.Count(status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
		}
	}
	if len(parts) == 0 {
		return "nothing was run"
	}
	return strings.Join(parts, ", ")
}

// duration is how long the run took, for people.
func (m matrix) duration() string { return m.Took.Round(time.Second).String() }
