package release

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// changelog is like upstream's.
const changelog = `# Changelog

## [1.13.3] - 2025-10-23

### Added

- X.509 CA metric with absolute expiration time in addition to TTL-based metric (#6303)
- ` + "`spire-agent`" + ` configuration to source join tokens from files (#6330, #6331)

### Changed

- Health check for agent_ttl, see [GO-2025-3849](https://pkg.go.dev/vuln/GO-2025-3849)

## [1.13.30] - 2025-10-08

- Another version
`

const results = `| row | passed | failed | skipped |
|---|---|---|---|
| debian-12 | 12 | 0 | 1 |
`

func TestNotes(t *testing.T) {
	for name, change := range map[string]func(*Release){
		"plain":            func(*Release) {},
		"changed":          func(r *Release) { r.Notes.Changelog, r.Notes.Results = changelog, results },
		"own source":       func(r *Release) { r.Source.Own = "srpm/spire/src" },
		"packaging 2":      func(r *Release) { r.Number = 2 },
		"too long results": func(r *Release) { r.Notes.Results = strings.Repeat("| x |\n", 100_000) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			change(&s.release)
			files, err := listed(s.release.Dir)
			must(t, err)
			got, err := s.release.notes(files)
			must(t, err)
			golden.Check(t, "notes "+name+".md", got)
		})
	}
}

// What upstream wrote can be long, too.
func TestNotesLength(t *testing.T) {
	s := newScene(t)
	s.release.Notes.Changelog = "## [1.13.3] - 2025-10-23\n" + strings.Repeat("- <b>ü\n", 50_000)
	s.release.Notes.Results = strings.Repeat("ü", resultsLimit)
	files, err := listed(s.release.Dir)
	must(t, err)
	got, err := s.release.notes(files)
	must(t, err)
	if n := utf8.RuneCountInString(got); n > notesLimit || !strings.Contains(got, "(and more)") {
		t.Errorf("%d characters", n)
	}
	for range 2000 {
		files = append(files, files[2])
	}
	if _, err := s.release.notes(files); err == nil || !strings.Contains(err.Error(), "GitHub takes 125000") {
		t.Errorf("the error is %v", err)
	}
}

// The line that plans are made by is there, alone.
func TestUpstreamCommit(t *testing.T) {
	s := newScene(t)
	got, err := s.release.notes(nil)
	must(t, err)
	if !regexp.MustCompile(`(?m)^` + ours + upstreamCommit + `$`).MatchString(got) {
		t.Error(got)
	}
}

// The commands in the notes are targets of ours, and README's.
func TestCommands(t *testing.T) {
	targets, err := os.ReadFile("../../testdata/targets.golden")
	must(t, err)
	aliases, err := os.ReadFile("../../check.go") // mage does not list them
	must(t, err)
	for _, match := range regexp.MustCompile(`go run magefile\.go (.*)`).FindAllStringSubmatch(notesText, -1) {
		for word := range strings.FieldsSeq(match[1]) {
			name := regexp.MustCompile(`^[a-z:]+$`).FindString(word)
			if name != "" && !strings.Contains(string(targets), "\n  "+name+" ") && !strings.Contains(string(aliases), `"`+name+`": `) {
				t.Errorf("%s is no target", name)
			}
		}
	}
}

// Nothing in upstream's words does anything in our notes.
func TestHarmless(t *testing.T) {
	for line, want := range map[string]string{
		"- plain words":        "- plain words",
		"### Added":            "### Added",
		"# Not ours":           `\# Not ours`,
		"- a (#12)":            "- a ([#12](https://u/issues/12))",
		"- a#b, #12b":          `- a\#b, \#12b`,
		"- thanks, @everyone":  "- thanks, @<!-- -->everyone",
		"- `code @x #1 <b>`":   "- `code @x #1 <b>`",
		"- `open @x":           "- \\`open @<!-- -->x",
		"```":                  "\\`\\`\\`",
		"~~~":                  `\~\~\~`,
		"<script>&amp;":        "&lt;script&gt;&amp;amp;",
		"[a](javascript:b)":    `\[a\](javascript:b)`,
		"![a](http://t/x.png)": `!\[a\](http://t/x.png)`,
		`\`:                    `\\`,
		"a | b":                `a \| b`,
		"*a* _b_ agent_ttl":    `\*a\* \_b\_ agent\_ttl`,
		"- a\rb":               "- a b",
		"- \x00\u202e\xff":     "- ???",
	} {
		if got := harmless(line, "https://u"); got != want {
			t.Errorf("%q becomes %q, not %q", line, got, want)
		}
	}
}

func TestSection(t *testing.T) {
	for version, want := range map[string]int{"1.13.3": 8, "1.13.30": 1, "1.13": 0, "1.13.4": 0} {
		got := strings.TrimSpace(strings.Join(section(changelog, version), "\n"))
		if n := len(strings.Split(got, "\n")); got != "" && n != want || got == "" && want != 0 {
			t.Errorf("%s has %d lines: %q", version, n, got)
		}
	}
}
