package report

import (
	"fmt"
	"regexp"
	"strings"
)

// reasonLength is the most of a reason that a summary repeats: GitHub shows no
// summary at all when it has more than a megabyte.
const reasonLength = 300

// summary is the run in GitHub's Markdown.
func summary(m matrix) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s on distributions\n\n%s, in %s. Numbers are seconds.\n\n", markdown(m.Version), m.Result(), m.duration())
	for i, words := range m.lines() {
		b.WriteString("|")
		for _, word := range words {
			b.WriteString(" " + bold(word) + " |")
		}
		b.WriteString("\n")
		if i == 0 {
			b.WriteString("|" + strings.Repeat(" :--- |", namesFirst) + strings.Repeat(" ---: |", len(words)-namesFirst) + "\n")
		}
	}
	explain(&b, "Failed", m.Notes(Failed))
	explain(&b, "Skipped", m.Notes(Skipped))
	return []byte(b.String()), nil
}

// bold is a word of the table, in bold if it says that something failed.
func bold(word string) string {
	if word == failWord {
		return "**" + word + "**"
	}
	return markdown(word)
}

// explain adds a list of what ended so, with the reasons in the words of the
// programs that gave them.
func explain(b *strings.Builder, title string, notes []*note) {
	if len(notes) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", title)
	for _, n := range notes {
		fmt.Fprintf(b, "- %s, %s: %s\n", markdown(n.Place), markdown(n.Names()), verbatim(shortened(oneLine(n.Reason), reasonLength)))
	}
}

// special are all characters that mean anything to Markdown, or to GitHub.
var special = regexp.MustCompile(`[^ \pL\pN.,…-]`)

// markdown is text that shows as it is: as character references, its special
// characters have no meaning to Markdown, in tables neither (CommonMark, 2.5).
func markdown(text string) string {
	return special.ReplaceAllStringFunc(text, func(char string) string {
		return fmt.Sprintf("&#%d;", []rune(char)[0])
	})
}

var backticks = regexp.MustCompile("`+")

// verbatim is text as code, in which GitHub makes nothing of names and numbers.
// More backticks than the text has in a row are around it, and spaces keep its
// own apart from them (CommonMark, 6.1).
func verbatim(text string) string {
	fence := "`"
	for _, ticks := range backticks.FindAllString(text, -1) {
		fence += strings.Repeat("`", max(0, len(ticks)+1-len(fence)))
	}
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}
