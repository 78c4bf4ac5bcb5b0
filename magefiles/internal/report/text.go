package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// control are the sequences by which programs colour a terminal and move its
// cursor (ECMA-48, section 5.4).
var control = regexp.MustCompile("\x1b\\[[0-?]*[ -/]*[@-~]")

// plain is text with nothing in it but what is to be seen, and line ends. What
// a terminal would obey, a browser would turn around, or XML 1.0 cannot hold,
// becomes U+FFFD.
func plain(text string) string {
	text = strings.ReplaceAll(control.ReplaceAllString(text, ""), "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
	return strings.TrimSpace(text)
}

// oneLine is plain text with every run of spaces and line ends as one space.
func oneLine(text string) string { return strings.Join(strings.Fields(plain(text)), " ") }

// shortened is text that is cut where it is longer than a reader will read.
func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// seconds are how long something took, as cells show it.
func seconds(took time.Duration) string { return fmt.Sprintf("%.1f", took.Seconds()) }

// number is a count of things with their name.
func number(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
