package license

import (
	"cmp"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	// claim is a line that says whose work it is: leader, the word, then years
	// or a holder.
	claim = regexp.MustCompile(`^[\s#*/;.>|-]*((?:Portions |Parts |Modifications |All code )?(?:(?:Copyright|COPYRIGHT|copyright)\b|©|\([cC]\)).*)$`)
	// holder is what must follow, so that prose does not count.
	holder = regexp.MustCompile(`^.*?(?:(?:(?i:copyright)|©)(?:\s|:|,|©|\([cC]\))*(?:\d{4}|[A-Z@"'])|\([cC]\)\s*\d{4})`)
	// prose is a claim's look-alike in a license's own words or its template.
	prose = regexp.MustCompile(`(?i)copyright\s+(notice|licen|holder|owner|statement|law|act\b|interest|in\b|and\b|disclaimer|right)|[\[{<]\s*(yyyy|year|name|copyright)|copyright holder`)
	// dated splits a claim in a source file into its years and its holder.
	dated = regexp.MustCompile(`^(?i:copyright)?(?:\s|:|©|\([cC]\))*(\d{4})?(?:\s*[-–,]\s*(\d{4}))*[,.]?\s*(.*)$`)
	tails = regexp.MustCompile(`(?i)[\s.,;*/]*(all rights reserved|use of this source|licensed under|redistribution).*$`)
)

// claims are the copyright lines in a text, once each, in order.
func claims(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if c := claimOf(line); c != "" && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found
}

func claimOf(line string) string {
	m := claim.FindStringSubmatch(strings.TrimRight(line, " \t\r\n"))
	if m == nil || prose.MatchString(line) || !holder.MatchString(m[1]) {
		return ""
	}
	return strings.Join(strings.Fields(m[1]), " ")
}

// withoutCopyright is the text without its copyright lines.
func withoutCopyright(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.Trim(strings.ToLower(line), " \t\r\n.-")
		if claimOf(line) == "" && bare != "all rights reserved" {
			b.WriteString(line)
		}
	}
	return b.String()
}

// copyright is the copyright lines for an entry: those of its texts; where
// they have none, as with a bare Apache-2.0, those of its source files; where
// these have none either, a statement of just that.
func (p place) copyright(e Entry) []string {
	var found []string
	for _, f := range e.Files {
		found = append(found, claims(f.Text)...)
	}
	if len(found) == 0 && p.source != "" {
		found = headers(p.source, p.others)
	}
	if len(found) == 0 {
		return []string{"the authors of " + p.name}
	}
	return unique(found)
}

func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// years is the span in which a holder claims something.
type years struct{ first, last string }

// headers sums up the copyright lines at the head of a directory's Go files:
// one line for each holder, with the span of years.
func headers(dir string, others []string) []string {
	spans := map[string]years{}
	// An unreadable file only costs a name that other files repeat.
	_ = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case d.IsDir() && slices.Contains(others, file):
			return filepath.SkipDir
		case d.Type().IsRegular() && strings.HasSuffix(file, ".go"):
			for _, c := range claims(head(file)) {
				span(spans, c)
			}
		}
		return nil
	})
	return spell(spans)
}

// headSize holds the comment at the top of a source file.
const headSize = 1024

func head(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, headSize)
	n, _ := io.ReadFull(f, buf)
	return string(buf[:n])
}

// span adds one claim to the holder's years.
func span(spans map[string]years, claim string) {
	m := dated.FindStringSubmatch(claim)
	who := strings.TrimSpace(tails.ReplaceAllString(m[3], ""))
	if who == "" {
		return
	}
	first, last := m[1], cmp.Or(m[2], m[1])
	old, seen := spans[who]
	if !seen || old.first == "" || first != "" && first < old.first {
		old.first = first
	}
	old.last = max(old.last, last)
	spans[who] = old
}

func spell(spans map[string]years) []string {
	var lines []string
	for who, y := range spans {
		line := "Copyright "
		switch y.first {
		case "":
		case y.last:
			line += y.first + " "
		default:
			line += y.first + "-" + y.last + " "
		}
		lines = append(lines, line+who)
	}
	slices.Sort(lines)
	return lines
}
