// Package adoption is what a person has to decide before a new version of upstream's
// goes out, and the pull request that asks for it: a version with nothing to decide
// needs none.
package adoption

import (
	"fmt"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/markdown"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Findings is what was found of a version.
type Findings struct {
	Source   pkgdef.Source
	Version  string
	Pin      pkgdef.Pin
	Licenses []License
	Patches  []Patch
}

// License is one that nobody has looked at.
type License struct {
	Module, Version string
	File            string // relative to the module; empty when it has none
	Why             string // nobody but a person can decide
	Guess           string // the SPDX expression that was recognised in it; may be empty
	Text            string // the file's
}

// Patch is one that does not apply.
type Patch struct{ Name, Reject string }

// Waits says whether the version waits for a person.
func (f Findings) Waits() bool { return len(f.Licenses)+len(f.Patches) > 0 }

// Adoption is what the source's definition is to say; supported are the minor versions
// that upstream supports, if that is known.
func (f Findings) Adoption(supported pkgdef.Supported) pkgdef.Adoption {
	a := pkgdef.Adoption{Version: f.Version, Pin: f.Pin, Supported: supported}
	for _, l := range f.Licenses {
		a.Open = append(a.Open, pkgdef.Open{Why: l.Why, Allowance: pkgdef.Allowance{Module: l.Module, File: l.File, License: l.Guess}})
	}
	return a
}

// Branch is the one on which the version is adopted.
func (f Findings) Branch() string { return "adopt-" + f.name("-") }

// name is the version, after the source's name where that is not the main one.
func (f Findings) name(between string) string {
	if f.Source.Main {
		return f.Version
	}
	return f.Source.Name + between + f.Version
}

// title is that of the pull request, and the first line of the commit.
func (f Findings) title() string { return "Adopt " + f.Source.Title + " " + f.Version }

// Bounds, in characters: together far below what GitHub takes (hub.IssueLimit).
const (
	nameLimit = 300
	textLimit = 20_000
	allLimit  = hub.IssueLimit * 3 / 4 // of all texts
)

// marker begins the text of our pull requests, and of no others.
func (f Findings) marker() string {
	return fmt.Sprintf("<!-- spire-packages: adopt %s -->", f.name(" "))
}

// Markdown is the text of the pull request.
func (f Findings) Markdown() string {
	left := allLimit
	text := f.marker() + "\n" + f.found() + f.licenses(&left) + f.patches(&left)
	if !f.Waits() {
		text += "\nNothing of it waits for a person: every license is known, and every patch applies.\n"
	}
	return strings.TrimRight(text, "\n") + "\n" + f.tried()
}

func (f Findings) found() string {
	return fmt.Sprintf(`
%s %s, as its module was found, and as %s now says:

| | |
|---|---|
| module | %s, checked by the checksum database |
| sum | %s |
| commit | %s, that of upstream's tag |
| time | %s |
| vendored dependencies | %s |
`, f.Source.Title, f.Version, code(f.folder("source.yaml")), code(f.Source.Module+"@v"+f.Version), code(f.Pin.Sum), code(f.Pin.Commit), f.Pin.Time.UTC().Format("2006-01-02 15:04:05 UTC"), code(f.Pin.Vendor))
}

// folder is a path in the source's folder.
func (f Findings) folder(path string) string { return "srpm/" + f.Source.Name + "/" + path }

func code(text string) string { return markdown.Span(text, nameLimit) }

func (f Findings) licenses(left *int) string {
	if len(f.Licenses) == 0 {
		return ""
	}
	text := fmt.Sprintf(`
## Licenses to be judged: %d

Each has an entry at the end of %s, whose %s is empty: until somebody has written it, nothing is built. Read the text. Put the guess of %s right, an SPDX expression, or leave it empty if the file covers nothing that is linked; a module without a file needs its %s. Then write in %s why it may be shipped.

`, len(f.Licenses), code("allow:"), code("reason"), code("license"), code("text"), code("reason"))
	for _, l := range f.Licenses {
		text += l.markdown(left)
	}
	return text
}

func (l License) markdown(left *int) string {
	file, guess := "no file", "no guess"
	if l.File != "" {
		file = code(l.File)
	}
	if l.Guess != "" {
		guess = "the guess is " + code(l.Guess)
	}
	line := fmt.Sprintf("- %s, %s: %s; %s\n", code(l.Module+"@"+l.Version), file, code(l.Why), guess)
	if l.Text == "" {
		return line
	}
	return line + folded("its text", l.Text, "", left)
}

// folded is a text that is shown when one asks for it; left is what there is still
// room for.
func folded(summary, text, language string, left *int) string {
	most := max(0, min(textLimit, *left))
	*left -= min(most, len([]rune(text)))
	return fmt.Sprintf("\n<details><summary>%s</summary>\n\n%s\n</details>\n\n", summary, markdown.Block(text, language, most))
}

func (f Findings) patches(left *int) string {
	if len(f.Patches) == 0 {
		return ""
	}
	text := fmt.Sprintf("\n## Patches that do not apply: %d\n\nRefresh each in %s so that it still applies to the versions before; one that upstream has taken in is removed when no version is built that lacks it.\n\n", len(f.Patches), code(f.folder("patches/")))
	for _, p := range f.Patches {
		text += fmt.Sprintf("- %s\n", code(p.Name)) + folded("what of it does not", p.Reject, "diff", left)
	}
	return text
}

func (f Findings) tried() string {
	return fmt.Sprintf(`
## To try it

%[1]s
git fetch origin %[2]s && git switch %[2]s
go run magefile.go source:adopt %[3]s
go run magefile.go setup:test build %[3]s test:distros %[3]s
%[1]s

The first target says what is left to judge, and the rest tries the packages. GitHub starts no checks for what a workflow has pushed: your own push to the branch does. Merged, the next night builds, tests and releases the version.

%[4]s keeps this text, and the one commit of the branch, for as long as nobody else pushes to it.
`, "```", f.Branch(), f.flags(), code("source:adopt"))
}

// flags are what names the version to a target.
func (f Findings) flags() string {
	if f.Source.Main {
		return "-version=" + f.Version
	}
	return "-source=" + f.Source.Name + " -version=" + f.Version
}
