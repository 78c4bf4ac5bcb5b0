package release

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// changes is a version's section of upstream's changelog as Markdown that can
// stand in our notes: it mentions nobody, and its numbers are upstream's issues,
// not ours. It has no line more than fits; cut says whether one is missing.
func changes(changelog, version, upstream string) (text string, cut bool) {
	var lines []string
	left := changesLimit
	for _, line := range section(changelog, version) {
		line = harmless(line, upstream)
		if left -= utf8.RuneCountInString(line) + 1; left < 0 {
			cut = true
			break
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), cut
}

// section gives the lines below "## [1.13.3] - 2025-10-23", up to the next of its kind.
func section(changelog, version string) (lines []string) {
	inside := false
	for line := range strings.Lines(changelog) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			inside = strings.HasPrefix(heading, "["+version+"]")
			continue
		}
		if inside {
			lines = append(lines, strings.TrimRight(line, " \r\n"))
		}
	}
	return lines
}

var (
	// block is what may begin a line: headings below ours, and lists. All else,
	// such as a fence that swallows the rest, is text.
	block = regexp.MustCompile(`^(#{3,6} |\s{0,8}[-*] )?(.*)$`)
	// code is a span in which nothing has a meaning, issue a number of upstream's.
	token   = regexp.MustCompile("`[^`]+`|#[0-9]{1,9}\\b|.")
	special = strings.NewReplacer(
		"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`,
		"~", `\~`, "|", `\|`, "#", `\#`, "=", `\=`, "+", `\+`,
		"@", "@<!-- -->", // GitHub looks for names after the backslashes are gone
	)
)

// visible replaces what ends lines, turns the direction of the words after it, or
// is no text at all.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r == utf8.RuneError || !unicode.IsPrint(r):
		return '?'
	}
	return r
}

// harmless is one line without anything that Markdown or GitHub would act on,
// save headings, lists, code and links to upstream's issues.
func harmless(line, upstream string) string {
	parts := block.FindStringSubmatch(strings.Map(visible, line))
	return parts[1] + token.ReplaceAllStringFunc(parts[2], func(found string) string {
		switch {
		case len(found) > 2 && found[0] == '`':
			return found
		case len(found) > 1 && found[0] == '#':
			return fmt.Sprintf("[%s](%s/issues/%s)", found, upstream, found[1:])
		}
		return special.Replace(found)
	})
}
