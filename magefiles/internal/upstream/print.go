package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// runners are GitHub's own machines for each architecture.
var runners = map[string]string{"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}

// Matrix is a workflow's matrix.
type Matrix struct {
	Include []Job `json:"include"`
}

// Job is one build.
type Job struct {
	Version string `json:"version"`
	Arch    string `json:"arch"`
	Runner  string `json:"runner"`
}

// Matrix has a build for each due version and architecture.
func (p Plan) Matrix() (Matrix, error) {
	matrix := Matrix{Include: []Job{}}
	for _, version := range p.Versions() {
		for _, arch := range p.arches {
			runner, ok := runners[arch]
			if !ok {
				return Matrix{}, fmt.Errorf("no runner is known for the architecture %q", arch)
			}
			matrix.Include = append(matrix.Include, Job{version, arch, runner})
		}
	}
	return matrix, nil
}

// JSON is the plan in one line: build is a matrix, versions the list of those
// that are due, supported the minor versions that upstream supports, and the rest says why.
func (p Plan) JSON() ([]byte, error) {
	matrix, err := p.Matrix()
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Build     Matrix    `json:"build"`
		Versions  []string  `json:"versions"`
		Supported []Line    `json:"supported"`
		Alarms    []string  `json:"alarms"`
		Notes     []string  `json:"notes"`
		Verdicts  []Verdict `json:"verdicts"`
	}{matrix, p.Versions(), p.Supported, some(p.Alarms), some(p.Notes), p.Verdicts})
}

// some makes an empty list of none, which in JSON is not null.
func some(list []string) []string { return append([]string{}, list...) }

// Outputs are lines for the file that GITHUB_OUTPUT names: versions and alarms,
// each a list.
func (p Plan) Outputs() (string, error) {
	versions, err := json.Marshal(p.Versions())
	if err != nil {
		return "", err
	}
	alarms, err := json.Marshal(some(p.Alarms))
	return fmt.Sprintf("versions=%s\nalarms=%s\n", versions, alarms), err
}

// Err is the alarms as an error; nil where there are none.
func (p Plan) Err() error {
	var errs []error
	for _, alarm := range p.Alarms {
		errs = append(errs, errors.New(alarm))
	}
	return errors.Join(errs...)
}

// Print writes the plan for people. Versions in a row that are not due for the
// same reason are one line.
func (p Plan) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "VERSION\tDUE\tWHY")
	for i := 0; i < len(p.Verdicts); {
		row, end := p.Verdicts[i], i+1
		for end < len(p.Verdicts) && !row.Due && p.Verdicts[end].Why == row.Why && !p.Verdicts[end].Due {
			end++
		}
		name := row.Version
		if end-i > 1 {
			name = fmt.Sprintf("%s to %s (%d)", p.Verdicts[end-1].Version, row.Version, end-i)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, yesOrNo(row.Due), row.Why)
		i = end
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("printing the plan: %w", err)
	}
	fmt.Fprintf(w, "upstream supports %s\n", p.supported())
	for _, note := range p.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	for _, alarm := range p.Alarms {
		fmt.Fprintf(w, "ALARM: %s\n", alarm)
	}
	fmt.Fprintln(w, p.closing())
	return nil
}

// supported names the minor versions that upstream supports, with their newest patches.
func (p Plan) supported() string {
	var lines []string
	for _, line := range p.Supported {
		lines = append(lines, fmt.Sprintf("%s (newest %s)", line.Minor, line.Newest))
	}
	return strings.Join(lines, " and ")
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func (p Plan) closing() string {
	due := p.Versions()
	if len(due) == 0 {
		return fmt.Sprintf("0 of %d versions are due", len(p.Verdicts))
	}
	return fmt.Sprintf("%d of %d versions are due: %s", len(due), len(p.Verdicts), strings.Join(due, ", "))
}
