package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Table writes the run as a table: a row for each place, and the seconds of
// each scenario, or the word for how else it ended.
func Table(w io.Writer, run Run) error {
	m, err := newMatrix(run)
	if err != nil {
		return fmt.Errorf("showing the distribution tests: %w", err)
	}
	lines := m.lines()
	widths := widthsOf(lines)
	for _, line := range lines {
		fmt.Fprintln(w, aligned(line, widths))
	}
	fmt.Fprintf(w, "%s: %s, in %s\n", m.Version, m.Result(), m.duration())
	return nil
}

// failWord is what the cell of a failure says.
const failWord = "FAIL"

// namesFirst is how many columns a table has before its first scenario.
const namesFirst = 3

// lines are the table's words, with its head.
func (m matrix) lines() [][]string {
	lines := [][]string{append(append([]string{"place", "arch", "tier"}, m.Scenarios...), "total")}
	for _, row := range m.Rows {
		line := []string{row.Place, row.Arch, row.Tier}
		for _, cell := range m.inOrder(row) {
			line = append(line, cell.word())
		}
		lines = append(lines, append(line, row.total()))
	}
	return lines
}

// total is how long all of the row's scenarios took together, in seconds.
func (r *row) total() string {
	if r.took() == 0 {
		return "-"
	}
	return seconds(r.took())
}

// word is what a cell says in plain text.
func (c *cell) word() string {
	switch {
	case c == nil:
		return "-"
	case c.Status == Failed:
		return failWord
	case c.Status == Skipped:
		return "skip"
	}
	return seconds(c.Took)
}

func widthsOf(lines [][]string) []int {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, word := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(word))
		}
	}
	return widths
}

// aligned is a line of the table: names to the left, numbers to the right.
func aligned(words []string, widths []int) string {
	var b strings.Builder
	for i, word := range words {
		if i < namesFirst {
			fmt.Fprintf(&b, "%-*s  ", widths[i], word)
		} else {
			fmt.Fprintf(&b, "%*s  ", widths[i], word)
		}
	}
	return strings.TrimRight(b.String(), " ")
}
