package upstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
)

// Plans are those of several sources.
type Plans []Plan

// Due is a version that is to be built.
type Due struct {
	Source  string `json:"source"`
	Version string `json:"version"`
}

// due are the versions that are, source by source, the newest first.
func (p Plans) due() []Due {
	due := []Due{}
	for _, plan := range p {
		for _, version := range plan.Versions() {
			due = append(due, Due{plan.Source.Name, version})
		}
	}
	return due
}

// Matrix is a workflow's matrix.
type Matrix struct {
	Include []Job `json:"include"`
}

// Job is one build.
type Job struct {
	Due
	Arch   string `json:"arch"`
	Runner string `json:"runner"`
}

// Matrix has a build for each due version and architecture.
func (p Plans) Matrix() (Matrix, error) {
	matrix := Matrix{Include: []Job{}}
	for _, plan := range p {
		for _, version := range plan.Versions() {
			for _, arch := range plan.arches {
				known, err := architecture.Find(arch)
				if err != nil {
					return Matrix{}, err
				}
				matrix.Include = append(matrix.Include, Job{Due{plan.Source.Name, version}, arch, known.Hosted()})
			}
		}
	}
	return matrix, nil
}

// JSON is the plans in one line: build is a matrix, versions the list of those
// that are due, supported the minor versions that upstream supports, waiting the sources
// of which nothing is built, and the rest says why, by source.
func (p Plans) JSON() ([]byte, error) {
	matrix, err := p.Matrix()
	if err != nil {
		return nil, err
	}
	verdicts, notes, supported := map[string][]Verdict{}, map[string][]string{}, map[string][]Line{}
	for _, plan := range p {
		name := plan.Source.Name
		if plan.Source.Waits != "" {
			continue
		}
		verdicts[name], notes[name], supported[name] = plan.Verdicts, some(plan.Notes), plan.Supported
	}
	return json.Marshal(struct {
		Build     Matrix               `json:"build"`
		Versions  []Due                `json:"versions"`
		Supported map[string][]Line    `json:"supported"`
		Alarms    []string             `json:"alarms"`
		Notes     map[string][]string  `json:"notes"`
		Verdicts  map[string][]Verdict `json:"verdicts"`
		Waiting   map[string]string    `json:"waiting"`
	}{matrix, p.due(), supported, p.alarms(), notes, verdicts, p.waiting()})
}

// waiting says why, of each source that waits.
func (p Plans) waiting() map[string]string {
	why := map[string]string{}
	for _, plan := range p {
		if plan.Source.Waits != "" {
			why[plan.Source.Name] = plan.Source.Waits
		}
	}
	return why
}

// some makes an empty list of none, which in JSON is not null.
func some(list []string) []string { return append([]string{}, list...) }

// alarms are those of all sources. Those of the main one do not name it.
func (p Plans) alarms() []string {
	all := []string{}
	for _, plan := range p {
		for _, alarm := range plan.Alarms {
			if !plan.Source.Main {
				alarm = plan.Source.Name + " " + alarm
			}
			all = append(all, alarm)
		}
	}
	return all
}

// Outputs are lines for the file that GITHUB_OUTPUT names: versions and alarms,
// each a list.
func (p Plans) Outputs() (string, error) {
	versions, err := json.Marshal(p.due())
	if err != nil {
		return "", err
	}
	alarms, err := json.Marshal(p.alarms())
	return fmt.Sprintf("versions=%s\nalarms=%s\n", versions, alarms), err
}

// Err is the alarms as an error; nil where there are none.
func (p Plans) Err() error {
	var errs []error
	for _, alarm := range p.alarms() {
		errs = append(errs, errors.New(alarm))
	}
	return errors.Join(errs...)
}

// Print writes the plans for people.
func (p Plans) Print(w io.Writer) error {
	for _, plan := range p {
		if len(p) > 1 {
			fmt.Fprintf(w, "%s, %s\n", plan.Source.Name, plan.Source.Repository)
		}
		if err := plan.Print(w); err != nil {
			return err
		}
	}
	return nil
}

// Print writes the plan for people. Versions in a row that are not due for the
// same reason are one line.
func (p Plan) Print(w io.Writer) error {
	if p.Source.Waits != "" {
		_, err := fmt.Fprintf(w, "nothing is due, it waits: %s\n", p.Source.Waits)
		return err
	}
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
