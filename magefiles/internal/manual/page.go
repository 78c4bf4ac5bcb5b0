package manual

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

// Marker is the line of a page's text that the reference stands in for.
const Marker = "{{COMMANDS}}"

// Page is a man page: our text, with the reference from the program's help.
type Page struct {
	Command Command
	// Topic is what a page is about that is no command: it has its text alone.
	Topic   string
	Text    string    // Markdown: "# NAME" first, for a command a line with Marker
	Section int       // of the manual; 0 means 8, for system commands
	Title   string    // of the software, such as SPIRE
	Version string    // of the software, such as 1.13.3
	Date    time.Time // the source's, printed in UTC
}

// Man writes the page as roff. SYNOPSIS goes behind NAME, unless the text has
// its own; the commands and options go where the marker is.
func (p Page) Man() ([]byte, error) {
	text, err := p.markdown()
	if err != nil {
		return nil, fmt.Errorf("writing the man page of %s: %w", p.name(), err)
	}
	return finish(md2man.Render([]byte(text))), nil
}

// name is what the page is about.
func (p Page) name() string { return cmp.Or(p.Topic, p.Command.Name) }

func (p Page) markdown() (string, error) {
	if err := p.check(); err != nil {
		return "", err
	}
	section := max(p.Section, 0)
	if section == 0 {
		section = 8
	}
	title := fmt.Sprintf("# %s %d %q %q %q\n\n", strings.ToUpper(p.name()), section,
		p.Date.UTC().Format("2006-01-02"), p.Title+" "+p.Version, p.Title+" manual")
	if p.Topic != "" {
		return title + p.Text, nil
	}
	text := strings.Replace(p.Text+"\n", "\n"+Marker+"\n", "\n"+reference(p.Command)+"\n", 1)
	if !strings.Contains(text, "\n# SYNOPSIS\n") {
		text = afterName(text, synopsis(p.Command))
	}
	return title + text, nil
}

// check refuses a text that would make a page without its parts.
func (p Page) check() error {
	lines := strings.Split(p.Text, "\n")
	marked := 0
	for _, line := range lines {
		if line == Marker {
			marked++
		}
	}
	wanted := 1
	if p.Topic != "" {
		wanted = 0
	}
	switch {
	case lines[0] != "# NAME":
		return fmt.Errorf("its text begins with %q, not with \"# NAME\"", lines[0])
	case !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, p.name()+" - ") }):
		return fmt.Errorf("its text has no line \"%s - DESCRIPTION\" below \"# NAME\"", p.name())
	case marked != wanted:
		return fmt.Errorf("its text has %d lines %s; %d is needed", marked, Marker, wanted)
	case p.Date.IsZero() || p.Version == "":
		return fmt.Errorf("it has no version or no date")
	}
	return nil
}

// afterName puts a section before the second heading of the text.
func afterName(text, section string) string {
	at := strings.Index(text[1:], "\n# ") + 1
	if at == 0 {
		return text + "\n" + section
	}
	return text[:at] + "\n" + section + text[at:]
}

// synopsis is the forms in which the command can be called.
func synopsis(c Command) string {
	name := code(c.Name)
	if len(c.Sub) == 0 {
		return "# SYNOPSIS\n\n" + name + " [*flags*]\n"
	}
	lines := []string{name + " *command* [*flags*]"}
	for _, f := range c.Flags {
		if !f.global() {
			lines = append(lines, name+" "+code(f.dashed()))
		}
	}
	// Two blanks at the end of a line break it.
	return "# SYNOPSIS\n\n" + strings.Join(lines, "  \n") + "\n"
}

// reference is the commands, each with its options. Options that most of the
// commands have are described once, below.
func reference(c Command) string {
	var b strings.Builder
	if len(c.Sub) == 0 {
		b.WriteString("# OPTIONS\n\n" + definitions(c.Flags))
		return b.String()
	}
	leaves := c.runnable(c.Name)
	common := commonFlags(leaves)
	b.WriteString("# COMMANDS\n\n")
	for _, l := range leaves {
		b.WriteString(l.describe(common))
	}
	if len(common) > 0 {
		b.WriteString("# COMMON OPTIONS\n\nThese are described once; the commands that have them name them.\n\n")
		b.WriteString(definitions(common))
	}
	if global := slices.DeleteFunc(slices.Clone(c.Flags), func(f Flag) bool { return !f.global() }); len(global) > 0 {
		b.WriteString("# GLOBAL OPTIONS\n\nAll commands have these.\n\n" + definitions(global))
	}
	return b.String()
}

// global says whether a flag of a program with commands goes with one of them. Those
// that go alone have one dash, or say what the program is.
func (f Flag) global() bool { return f.Long && f.Name != "version" }

// leaf is a command that does something, with its words from the top.
type leaf struct {
	words string
	Command
}

// runnable lists the commands below c that do something, in order.
func (c Command) runnable(words string) []leaf {
	var all []leaf
	for _, sub := range c.Sub {
		l := leaf{words + " " + sub.Name, sub}
		if sub.Runs {
			all = append(all, l)
		}
		all = append(all, sub.runnable(l.words)...)
	}
	return all
}

// describe is the part of the reference for one command.
func (l leaf) describe(common []Flag) string {
	own := slices.DeleteFunc(slices.Clone(l.Flags), func(f Flag) bool { return slices.Contains(common, f) })
	text := "### " + escape(strings.TrimSpace(l.words+" "+l.Args)) + "\n\n"
	if l.Synopsis != "" {
		text += sentence(l.Synopsis) + "\n\n"
	}
	text += definitions(own)
	var also []string
	for _, f := range l.Flags {
		if slices.Contains(common, f) {
			also = append(also, code(f.dashed()))
		}
	}
	if len(also) > 0 {
		text += "Common options: " + strings.Join(also, ", ") + ".\n\n"
	}
	return text
}

// commonFlags are the flags that more than half of the commands have, word
// for word.
func commonFlags(leaves []leaf) []Flag {
	count := map[Flag]int{}
	for _, l := range leaves {
		for _, f := range l.Flags {
			count[f]++
		}
	}
	var common []Flag
	for f, n := range count {
		if n > 2 && 2*n > len(leaves) {
			common = append(common, f)
		}
	}
	return sortFlags(common)
}

// definitions is a list of flags, what each takes and does.
func definitions(flags []Flag) string {
	var b strings.Builder
	for _, f := range flags {
		if f.Short != "" {
			b.WriteString(code("-"+f.Short) + ", ")
		}
		b.WriteString(code(f.dashed()))
		if f.Type != "" {
			b.WriteString(" *" + escape(f.Type) + "*")
		}
		text := sentence(f.Usage)
		if f.Default != "" {
			text = strings.TrimSpace(text + " Default: " + code(f.Default) + ".")
		}
		b.WriteString("\n: " + text + "\n\n")
	}
	return b.String()
}

// sentence is help text on one line, escaped, with a full stop.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return ""
	}
	if !strings.ContainsAny(text[len(text)-1:], ".!?") {
		text += "."
	}
	return escape(text)
}

// code is text in a code span; help has no backquotes, Go's flag package takes
// them out.
func code(text string) string { return "`" + strings.ReplaceAll(text, "`", "'") + "`" }

// escape keeps Markdown from reading anything into the text.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune("\\`*_{}[]()#+!:|&<>~^", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
