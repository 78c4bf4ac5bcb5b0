package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// data is the run as JSON, for Join.
func data(m matrix) ([]byte, error) {
	m.Start = m.Start.UTC()
	content, err := json.MarshalIndent(m.Run, "", " ")
	return append(content, '\n'), err
}

// Join makes one run of those whose reports are in the folders of dir, one each:
// other machines tested other places. They must have tested the same version.
// The logs stay where they were.
func Join(dir string) (Run, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", Data))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no folder in it has a %s: give the folder that the reports were brought to", Data)
	}
	var joined Run
	for _, file := range files {
		if err == nil {
			joined, err = joined.add(file)
		}
	}
	if err != nil {
		return Run{}, fmt.Errorf("joining the reports in %s: %w", dir, err)
	}
	return joined, nil
}

// Read reads the run of one report's Data.
func Read(file string) (run Run, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return run, err
	}
	if err := json.Unmarshal(content, &run); err != nil {
		return run, fmt.Errorf("%s is no report: %w", file, err)
	}
	return run, nil
}

// add is the run with another one's results behind its own. It begins with the
// first and ends with the last.
func (r Run) add(file string) (Run, error) {
	other, err := Read(file)
	if err != nil {
		return r, err
	}
	if r.Version == "" {
		r.Version, r.Start, r.Took = other.Version, other.Start, other.Took
	}
	if other.Version == "" || other.Version != r.Version {
		return r, fmt.Errorf("%s is of the version %q, the others of %q", file, other.Version, r.Version)
	}
	start, end := earlier(r.Start, other.Start), later(r.Start.Add(r.Took), other.Start.Add(other.Took))
	r.Start, r.Took = start, end.Sub(start)
	for _, result := range other.Results {
		result.Log = ""
		r.Results = append(r.Results, result)
	}
	return r, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Markdown is the summary of a run, for a page of GitHub's.
func Markdown(run Run) (string, error) {
	m, err := newMatrix(run)
	if err != nil {
		return "", fmt.Errorf("summing up the distribution tests: %w", err)
	}
	content, err := summary(m)
	return string(content), err
}
