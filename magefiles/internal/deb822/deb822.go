// Package deb822 reads and writes stanzas of fields: the form of Debian's control
// files, of .dsc, .changes, .buildinfo and copyright files, and of apt's Packages,
// Sources and Release (deb822(5)). A stanza stays the text that it is: what is not
// changed is the same, byte for byte.
package deb822

import (
	"fmt"
	"strings"
	"unicode"
)

// Stanza is the text of one stanza: a line for each field, perhaps with others after
// it that begin with a blank. It ends with a newline, and has no empty line.
type Stanza string

// Split are the stanzas of a text, between which there are empty lines.
func Split(text []byte) (all []Stanza) {
	for stanza := range strings.SplitSeq(string(text), "\n\n") {
		if stanza = strings.Trim(stanza, "\n"); stanza != "" {
			all = append(all, Stanza(stanza+"\n"))
		}
	}
	return all
}

// Get is the first line of a field's value; empty if there is no such field.
func (s Stanza) Get(name string) string {
	if lines := s.lines(name); len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// lines are those of a field's value, without the blanks around them.
func (s Stanza) lines(name string) (lines []string) {
	inside := false
	for line := range strings.Lines(string(s)) {
		if !continues(line) {
			line, inside = strings.CutPrefix(line, name+":")
			inside = inside && lines == nil
		}
		if inside {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func continues(line string) bool { return strings.HasPrefix(line, " ") }

// With is the stanza with another value for a field that has one line.
func (s Stanza) With(name, value string) Stanza {
	var changed strings.Builder
	for line := range strings.Lines(string(s)) {
		if strings.HasPrefix(line, name+":") {
			line = Field(name, value)
		}
		changed.WriteString(line)
	}
	return Stanza(changed.String())
}

// Values are the fields' values by their names: the first line without the blanks
// around it, further ones as they are.
func (s Stanza) Values() (map[string]string, error) {
	values, name := map[string]string{}, ""
	for line := range strings.Lines(string(s)) {
		line = strings.TrimSuffix(line, "\n")
		if continues(line) && name != "" {
			values[name] += "\n" + line
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("%q is no line of a control file", line)
		}
		name = key
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}

// Field is a field as a stanza has it: the first line of the value beside the name,
// which may be empty, and further ones below it, a dot for an empty one.
func Field(name, first string, more ...string) string {
	var text strings.Builder
	text.WriteString(strings.TrimRight(name+": "+first, " ") + "\n")
	for _, line := range more {
		if line = strings.TrimRightFunc(line, unicode.IsSpace); line == "" {
			line = "."
		}
		text.WriteString(" " + line + "\n")
	}
	return text.String()
}
