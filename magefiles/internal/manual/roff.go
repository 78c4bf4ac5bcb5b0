package manual

import (
	"regexp"
	"strings"
)

var (
	// literal is what md2man makes of code spans and strong text.
	literal = regexp.MustCompile(`(?s)\\fB.*?\\f[PR]`)
	// leading is a dash that begins a word, as of a flag in plain text.
	leading = regexp.MustCompile(`(^|[\s(]|\\\(aq)-`)
	// request is a line for the formatter; its words are no text, but for
	// headings.
	request = regexp.MustCompile(`^[.']`)
	heading = regexp.MustCompile(`^\.S[HS] `)
)

// finish makes up for what md2man leaves undone: in what people copy from the
// page, a dash must be a minus and an apostrophe straight, or groff prints
// typographic ones that no shell understands.
func finish(roff []byte) []byte {
	text := literal.ReplaceAllStringFunc(string(roff), func(s string) string { return plain(minus(s)) })
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	var kept []string
	example := false
	for _, line := range lines {
		switch {
		case line == ".EX" || line == ".EE":
			example = line == ".EX"
		case heading.MatchString(line):
			line = minus(line)
		case request.MatchString(line):
		case example:
			line = plain(minus(line))
		default:
			line = strings.ReplaceAll(leading.ReplaceAllString(straight(line), `$1\-`), `\--`, `\-\-`)
		}
		if line != "" || example {
			kept = append(kept, line)
		}
	}
	return []byte(strings.Join(kept, "\n") + "\n")
}

var dash = regexp.MustCompile(`\\?-`)

func minus(s string) string { return dash.ReplaceAllString(s, `\-`) }

func straight(s string) string { return strings.ReplaceAll(s, "'", `\(aq`) }

func plain(s string) string {
	return strings.NewReplacer("'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(s)
}
