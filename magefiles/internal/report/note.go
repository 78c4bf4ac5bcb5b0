package report

import (
	"fmt"
	"strings"
)

// note is why scenarios of one place failed or were skipped. What befell the
// whole place, such as a container that did not start, is one note.
type note struct {
	ID        string // unique in the report
	Scenarios []string
	row       *row
	*cell     // of the first of the scenarios
}

// Notes are the notes on all results with the status, in the matrix's order.
func (m matrix) Notes(status Status) []*note {
	var notes []*note
	for _, row := range m.Rows {
		for _, cell := range m.inOrder(row) {
			if cell == nil || cell.Status != status {
				continue
			}
			if last := len(notes) - 1; last >= 0 && notes[last].covers(cell) {
				notes[last].Scenarios = append(notes[last].Scenarios, cell.Scenario)
				continue
			}
			id := fmt.Sprintf("%s-%d", status, len(notes)+1)
			notes = append(notes, &note{id, []string{cell.Scenario}, row, cell})
		}
	}
	return notes
}

// covers says whether the note already tells why that other result is as it is.
func (n *note) covers(other *cell) bool {
	return n.Place == other.Place && n.Reason == other.Reason && n.Log == "" && other.Log == ""
}

// whole says whether the note is on all that the place has.
func (n *note) whole() bool { return len(n.Scenarios) == len(n.row.cells) }

// Names are the note's scenarios as text.
func (n *note) Names() string {
	if n.whole() && len(n.Scenarios) > 1 {
		return "all scenarios"
	}
	return strings.Join(n.Scenarios, ", ")
}
