package report

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// The elements of JUnit's XML, of which there are several dialects. What is
// here, and in this order, is what all common schemas allow.
type (
	testSuites struct {
		XMLName xml.Name    `xml:"testsuites"`
		Suites  []testSuite `xml:"testsuite"`
	}
	testSuite struct {
		ID         int        `xml:"id,attr"`
		Name       string     `xml:"name,attr"`
		Package    string     `xml:"package,attr"`
		Host       string     `xml:"hostname,attr"`
		Timestamp  string     `xml:"timestamp,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Properties []property `xml:"properties>property"`
		Cases      []testCase `xml:"testcase"`
		Out        output     `xml:"system-out"`
		Err        output     `xml:"system-err"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Time    string   `xml:"time,attr"`
		Failure *outcome `xml:"failure"`
		Skipped *outcome `xml:"skipped"`
	}
	outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
	output struct {
		Text string `xml:",cdata"`
	}
)

// junit is the run as JUnit's XML: a suite for each place.
func junit(m matrix) ([]byte, error) {
	var all testSuites
	for i, row := range m.Rows {
		all.Suites = append(all.Suites, m.suite(i, row))
	}
	content, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(content, '\n')...), err
}

func (m matrix) suite(id int, r *row) testSuite {
	s := testSuite{
		ID: id, Name: r.Place, Package: "distributions",
		Host:      "localhost",                                 // a report is no place to tell a machine's name
		Timestamp: m.Start.UTC().Format("2006-01-02T15:04:05"), // the schema has no time zones
		Tests:     len(r.cells), Failures: r.count(Failed), Skipped: r.count(Skipped), Time: decimal(r.took()),
		Properties: []property{{"version", m.Version}, {"architecture", r.Arch}, {"tier", r.Tier}},
	}
	var said strings.Builder
	for _, cell := range m.inOrder(r) {
		if cell != nil {
			s.Cases = append(s.Cases, cell.testCase())
			fmt.Fprintf(&said, "%s: %s\n", cell.Scenario, number(cell.Checks, "check", "checks"))
		}
	}
	s.Out.Text = said.String()
	return s
}

func (c *cell) testCase() testCase {
	t := testCase{Name: c.Scenario, Class: c.Place, Time: decimal(c.Took)}
	switch c.Status {
	case Failed:
		t.Failure = &outcome{c.Reason, "failure", c.Tail}
	case Skipped:
		t.Skipped = &outcome{c.Reason, "skipped", ""}
	}
	return t
}

func decimal(took time.Duration) string { return fmt.Sprintf("%.3f", took.Seconds()) }
