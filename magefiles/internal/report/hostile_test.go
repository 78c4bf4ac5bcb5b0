package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// nasty is text that means something to every form of a report.
const nasty = "</pre></td></script><script>alert(1)</script>&amp; \"'><img src=x onerror=alert(2)> ]]> <!-- " +
	"| \\| `code` ``` **bold** _x_ [link](https://example.org) ![i](https://example.org/i.png) @someone #12 ~~s~~ <b> $x$ " +
	"\x00\x01\x07\x08\x1b[31mred\x1b[0m\x1b]0;title\x07 \x7f\xff\xfe\u202eesrever\u2066\ufffe\uffff\u2028 {{.}} %s $(id)\r\nsecond line\n| a | b |\n# heading\n- item\n```\n"

// hostile is a run in which everything that is text is nasty.
func hostile() Run {
	long := strings.Repeat("unbroken", 200)
	r := Run{Version: nasty, Start: time.Unix(0, 0), Took: time.Second}
	for i, status := range []Status{Failed, Skipped, Passed, Failed, Skipped} {
		name := fmt.Sprint(i)
		r.Results = append(r.Results, Result{
			Place: "place " + nasty, Arch: nasty, Tier: nasty, Scenario: name + nasty,
			Status: status, Reason: name + nasty + long, Took: time.Hour * 100,
			Log: name + " # ? % \" < > & : \n/output.txt",
		})
	}
	r.Results[3].Log, r.Results[4].Log = "", ""
	r.Results = append(r.Results, Result{Place: "skipped " + nasty, Arch: nasty, Tier: nasty, Scenario: "0" + nasty, Status: Skipped, Reason: nasty + long, Log: "only one/output.txt"})
	return r
}

// Nothing leaves that a terminal obeys, a browser turns around, or XML cannot
// hold.
func TestHostileCharacters(t *testing.T) {
	dir := written(t, hostile())
	texts := map[string]string{"table": table(t, hostile())}
	for _, name := range []string{Page, JUnit, Summary} {
		texts[name] = read(t, dir, name)
	}
	for name, text := range texts {
		for i, r := range text {
			if r != '\n' && !unicode.IsGraphic(r) {
				t.Errorf("%s has %U in %q", name, r, text[max(0, i-20):i])
			}
		}
	}
	if lines := strings.Count(texts["table"], "\n"); lines != 4 {
		t.Errorf("the table has %d lines:\n%s", lines, texts["table"])
	}
}

func TestHostileXML(t *testing.T) {
	decoder := xml.NewDecoder(strings.NewReader(read(t, written(t, hostile()), JUnit)))
	seen := map[string]int{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			seen[start.Name.Local]++
		}
	}
	want := map[string]int{"testsuites": 1, "testsuite": 2, "properties": 2, "property": 6, "testcase": 6, "failure": 2, "skipped": 3, "system-out": 2, "system-err": 2}
	if !maps.Equal(seen, want) {
		t.Errorf("elements are %v, want %v", seen, want)
	}
}

func TestHostilePage(t *testing.T) {
	dir := written(t, hostile())
	ids := map[string]bool{}
	for _, node := range elements(t, read(t, dir, Page)) {
		switch node.DataAtom {
		case atom.Script, atom.Img, atom.B, atom.Iframe:
			t.Errorf("the page has a %s", node.Data)
		}
		for _, a := range node.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "style" {
				t.Errorf("%s has an attribute %s", node.Data, a.Key)
			}
			if a.Key == "id" && ids[a.Val] {
				t.Errorf("the id %s is there twice", a.Val)
			}
			ids[a.Val] = ids[a.Val] || a.Key == "id"
		}
	}
}

// Every link leads to a file or to a place in the page, and every log is led to.
func TestLinks(t *testing.T) {
	for name, r := range map[string]Run{"sample": sample(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, r)
			all := elements(t, read(t, dir, Page))
			targets := map[string]bool{JUnit: false, Summary: false}
			for _, result := range r.Results {
				if result.Log != "" {
					targets[result.Log] = false
				}
			}
			for _, node := range all {
				if id := attribute(node, "id"); id != "" {
					targets["#"+id] = false
				}
			}
			for _, node := range all {
				if node.DataAtom == atom.A {
					follow(t, dir, attribute(node, "href"), targets)
				}
			}
			for target, led := range targets {
				if !led && !strings.HasPrefix(target, "#") {
					t.Errorf("no link leads to %q", target)
				}
			}
		})
	}
}

// follow sees where a link leads, and notes the target.
func follow(t *testing.T, dir, href string, targets map[string]bool) {
	t.Helper()
	if _, inside := targets[href]; inside && strings.HasPrefix(href, "#") {
		return
	}
	to, err := url.Parse(href)
	if err != nil {
		t.Error(err)
		return
	}
	path := strings.TrimPrefix(to.Path, "./")
	if _, err := os.Stat(filepath.Join(dir, path)); err != nil || path == "" || to.Host != "" || to.Scheme != "" || to.RawQuery != "" {
		t.Errorf("the link %q leads nowhere: %v", href, err)
	}
	targets[path] = true
}

func elements(t *testing.T, page string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for node := range root.Descendants() {
		if node.Type == html.ElementNode {
			all = append(all, node)
		}
	}
	return all
}

func attribute(node *html.Node, key string) string {
	for _, a := range node.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// A line of the summary stays a line, and its table a table.
func TestHostileSummary(t *testing.T) {
	text := read(t, written(t, hostile()), Summary)
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "|"):
			if n := strings.Count(line, "|"); n != 3+5+2 {
				t.Errorf("%d bars: %s", n, line)
			}
		case strings.HasPrefix(line, "- "):
			if _, reason, _ := strings.Cut(line, ": "); !strings.HasPrefix(reason, "````") || !strings.HasSuffix(reason, "````\n") {
				t.Errorf("a reason is not held by its backticks: %s", line)
			}
		}
	}
	if strings.Count(text, "\n| ") != 2+2 || strings.Count(text, "\n- ") != 5 || strings.Count(text, "\n#") != 2 {
		t.Errorf("the summary is torn:\n%s", text)
	}
}

// TestSummaryAsGitHubRendersIt reads the summary with GitHub's own program.
func TestSummaryAsGitHubRendersIt(t *testing.T) {
	if !run.Have("cmark-gfm") {
		t.Skip("cmark-gfm is missing (Debian's package of that name): nothing renders the summary")
	}
	allowed := []atom.Atom{atom.Html, atom.Head, atom.Body, atom.H2, atom.H3, atom.P, atom.Ul, atom.Li, atom.Code,
		atom.Table, atom.Thead, atom.Tbody, atom.Tr, atom.Th, atom.Td, atom.Strong}
	file := filepath.Join(written(t, hostile()), Summary)
	out, err := run.New("cmark-gfm", "--unsafe", "-e", "table", "-e", "strikethrough", "-e", "autolink", "-e", "tasklist", file).Output(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cells := 0
	for _, node := range elements(t, out) {
		if !slices.Contains(allowed, node.DataAtom) {
			t.Errorf("a %s came from a text", node.Data)
		}
		if node.DataAtom == atom.Td {
			cells++
		}
	}
	if want := 2 * (3 + 5 + 1); cells != want {
		t.Errorf("the table has %d cells, want %d:\n%s", cells, want, out)
	}
}

func TestVerbatim(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "`plain`", "a `b` c": "``a `b` c``", "`a`": "`` `a` ``", "a```": "```` a``` ````", "``a": "``` ``a ```",
	} {
		if got := verbatim(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestShortened(t *testing.T) {
	for text, want := range map[string]string{"": "", "äöü": "äöü", "äöüß": "äöüß", "äöüßs": "äöü…"} {
		if got := shortened(text, 4); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
