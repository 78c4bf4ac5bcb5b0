package markdown

import (
	"strings"
	"testing"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "`plain`", "": "(no name)", " a\n\tb ": "`a b`", "`x` @all": "`'x' @all`", "\u202ex\x00": "`?x?`", "<!-- -->": "`<!-- -->`",
		"123456789": "`1234567…`",
	} {
		if got := Span(text, 8); got != want {
			t.Errorf("%q: %s, not %s", text, got, want)
		}
	}
}

// Nothing in a text ends its block, and only lines and tabs are beside what is seen.
func TestBlock(t *testing.T) {
	for text, want := range map[string]string{
		"one\r\ntwo\n\n":        "```diff\none\ntwo\n```\n",
		"a ``` b\n`````\nc":     "``````diff\na ``` b\n`````\nc\n``````\n",
		"\ttab \x1b[2J \u202e":  "```diff\n\ttab ?[2J ?\n```\n",
		"  indented":            "```diff\n  indented\n```\n",
		strings.Repeat("ü", 42): "```diff\n" + strings.Repeat("ü", 40) + "\n... (and 2 characters more)\n```\n",
	} {
		if got := Block(text, "diff", 40); got != want {
			t.Errorf("%q:\n%q, not\n%q", text, got, want)
		}
	}
}
