// Package envfile reads and changes the files of systemd's EnvironmentFile=: lines of
// NAME=value.
package envfile

import (
	"bytes"
	"strings"
)

// Parse returns the variables of a file; of a name that is there twice, the last one.
func Parse(text []byte) map[string]string {
	variables := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := variable(line); ok {
			variables[name] = value
		}
	}
	return variables
}

func variable(line string) (name, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' || line[0] == ';' {
		return "", "", false
	}
	name, value, ok = strings.Cut(line, "=")
	return strings.TrimSpace(name), unquote(strings.TrimSpace(value)), ok
}

func unquote(value string) string {
	if len(value) < 2 || value[0] != value[len(value)-1] {
		return value
	}
	if value[0] != '"' && value[0] != '\'' {
		return value
	}
	return value[1 : len(value)-1]
}

// Set gives a variable its value, where it stands or in a new last line.
func Set(text []byte, name, value string) []byte {
	if Parse(text)[name] == value && value != "" {
		return text
	}
	kept := Remove(text, name)
	if len(kept) > 0 && kept[len(kept)-1] != '\n' {
		kept = append(kept, '\n')
	}
	return append(kept, name+"="+value+"\n"...)
}

// Remove takes away the lines of a variable.
func Remove(text []byte, name string) []byte {
	var kept bytes.Buffer
	for line := range strings.Lines(string(text)) {
		if found, _, ok := variable(line); !ok || found != name {
			kept.WriteString(line)
		}
	}
	return kept.Bytes()
}

// Mask writes a file as it may be shown: the value that name has as <token>, all other
// values as <secret>.
func Mask(text []byte, name string) []byte {
	var shown bytes.Buffer
	for line := range strings.Lines(string(text)) {
		found, _, ok := variable(line)
		switch {
		case ok && found == name:
			shown.WriteString(found + "=<token>\n")
		case ok:
			shown.WriteString(found + "=<secret>\n")
		default:
			shown.WriteString(line)
		}
	}
	return shown.Bytes()
}
