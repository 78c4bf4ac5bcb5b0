// Package markdown puts somebody else's text into a text of ours, where it can do
// nothing: neither be Markdown, nor mention anybody, nor hide.
package markdown

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Span is a text as code in a line, of at most so many characters.
func Span(text string, most int) string {
	runes := []rune(strings.Join(strings.Fields(strings.Map(shown, text)), " "))
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	if len(runes) == 0 {
		return "(no name)"
	}
	return "`" + string(runes) + "`"
}

// shown replaces what would end the code, and what cannot be seen.
func shown(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r == '`':
		return '\''
	}
	return visible(r)
}

func visible(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) && r != '\n' && r != '\t' {
		return '?'
	}
	return r
}

var fences = regexp.MustCompile("`{3,}")

// Block is a text as a block of code, of at most so many characters. language may be empty.
func Block(text, language string, most int) string {
	text = strings.Map(visible, strings.ReplaceAll(strings.Trim(text, "\r\n"), "\r\n", "\n"))
	if runes := []rune(text); len(runes) > most {
		text = fmt.Sprintf("%s\n... (and %d characters more)", string(runes[:most]), len(runes)-most)
	}
	fence := "```"
	for _, found := range fences.FindAllString(text, -1) {
		if len(found) >= len(fence) {
			fence = found + "`"
		}
	}
	return fmt.Sprintf("%s%s\n%s\n%s\n", fence, language, text, fence)
}
