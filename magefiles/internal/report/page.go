package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"path"
	"slices"
	"time"
)

var (
	//go:embed page.html.tmpl
	pageHTML string
	//go:embed page.css
	pageCSS string
)

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"date":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"instant": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"link":    link,
	"base":    func(name string) string { return plain(path.Base(name)) },
}).Parse(pageHTML))

// page is the run as a page that asks for nothing beside itself.
func page(m matrix) ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, newView(m))
	return b.Bytes(), err
}

// view is what the page's template knows.
type view struct {
	matrix
	Lines           []line
	Failed, Skipped []*note // Skipped is without what its line in the matrix tells
	CSS             template.CSS
	StyleHash       string
}

// line is a row as the page shows it: with its cells, or with the reason why
// all of it was skipped.
type line struct {
	*row
	Skipped *note
	Cells   []square
}

// square is a cell with the address of what there is to read about it; it has
// no result if nothing was run.
type square struct {
	*cell
	Link string
}

func newView(m matrix) view {
	v := view{matrix: m, Failed: m.Notes(Failed), CSS: template.CSS(pageCSS), StyleHash: styleHash()}
	wholes := map[*row]*note{}
	for _, n := range m.Notes(Skipped) {
		if n.whole() {
			wholes[n.row] = n
		} else {
			v.Skipped = append(v.Skipped, n)
		}
	}
	explained := explainedBy(v.Failed, v.Skipped)
	for _, row := range m.Rows {
		l := line{row: row, Skipped: wholes[row]}
		for _, cell := range m.inOrder(row) {
			l.Cells = append(l.Cells, square{cell, addressOf(cell, explained)})
		}
		v.Lines = append(v.Lines, l)
	}
	return v
}

// explainedBy are the notes by the cells that they are on.
func explainedBy(lists ...[]*note) map[*cell]*note {
	by := map[*cell]*note{}
	for _, n := range slices.Concat(lists...) {
		for _, name := range n.Scenarios {
			by[n.row.cells[name]] = n
		}
	}
	return by
}

// addressOf is where the cell leads: to its log, or else to the note on it.
func addressOf(c *cell, explained map[*cell]*note) string {
	if c != nil && c.Log != "" {
		return link(c.Log)
	}
	if n := explained[c]; n != nil {
		return "#" + n.ID
	}
	return ""
}

// Total is how long all of the row's scenarios took together, in seconds.
func (l line) Total() string { return l.total() }

// HasResult says whether the scenario was run, or at least meant to be.
func (s square) HasResult() bool { return s.cell != nil }

// Word is what the cell shows.
func (s square) Word() string { return s.word() }

// Label is what a screen reader says of a cell, away from the cell's headings.
func (s square) Label() string {
	label := fmt.Sprintf("%s, %s: %s", s.Place, s.Scenario, s.word())
	if s.Status == Passed {
		return label + " seconds"
	}
	return label
}

// Duration is how long the run took.
func (v view) Duration() string { return v.duration() }

// Columns is how many columns the matrix has beside its places.
func (v view) Columns() int { return len(v.Scenarios) + 1 }

// styleHash names the style sheet in the page's content security policy, which
// allows this one and no script at all (CSP level 3, section 6.7.3.3).
func styleHash() string {
	sum := sha256.Sum256([]byte(pageCSS))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
