package datastore

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// settings are those of a connection string of PostgreSQL, in their order.
type settings []setting

type setting struct{ name, value string }

func (s settings) index(name string) int {
	return slices.IndexFunc(s, func(one setting) bool { return one.name == name })
}

func (s settings) has(name string) bool { return s.index(name) >= 0 }

func (s settings) value(name string) string {
	if at := s.index(name); at >= 0 {
		return s[at].value
	}
	return ""
}

// with gives a setting another value, where it stands or at the end.
func (s settings) with(name, value string) settings {
	changed := slices.Clone(s)
	if at := changed.index(name); at >= 0 {
		changed[at].value = value
		return changed
	}
	return append(changed, setting{name, value})
}

var (
	escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	// plain are values that need no quotes. An empty variable would swallow what is
	// behind it without.
	plain = regexp.MustCompile(`^[A-Za-z0-9._/:@+-]+$`)
)

// raw writes the settings as the driver reads them.
func (s settings) raw() string {
	var words []string
	for _, one := range s {
		value := one.value
		if !plain.MatchString(value) {
			value = "'" + escapes.Replace(value) + "'"
		}
		words = append(words, one.name+"="+value)
	}
	return strings.Join(words, " ")
}

// configured writes them for a configuration in which variables are replaced.
func (s settings) configured() string {
	text := literal(s.raw())
	return strings.ReplaceAll(text, "'"+literal(placeholder)+"'", "'"+placeholder+"'")
}

var errKeywords = errors.New("the connection string is none of PostgreSQL's: want host=HOST dbname=DATABASE user=USER password=PASSWORD, or a URL")

func errTwice(name string) error { return fmt.Errorf("the connection string says %s twice", name) }

// keywords reads NAME=VALUE NAME='VALUE' ... (libpq, 32.1.1.1 Keyword/Value Connection
// Strings). Its errors do not show the text, which has a password.
func keywords(text string) (settings, error) {
	var all settings
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsFunc(name, unicode.IsSpace) || strings.ContainsAny(name, `'\`) {
			return nil, errKeywords
		}
		value, rest, err := word(strings.TrimLeftFunc(rest, unicode.IsSpace))
		if err != nil {
			return nil, err
		}
		if all.has(name) {
			return nil, errTwice(name)
		}
		all, text = append(all, setting{name, value}), rest
	}
	if len(all) == 0 {
		return nil, errKeywords
	}
	return all, nil
}

// word reads a value, quoted or not, and returns what is behind it.
func word(text string) (value, rest string, err error) {
	var read strings.Builder
	quoted, escaped := strings.HasPrefix(text, "'"), false
	for i, letter := range text {
		switch {
		case i == 0 && quoted:
		case escaped:
			read.WriteRune(letter)
			escaped = false
		case letter == '\\':
			escaped = true
		case quoted && letter == '\'':
			return read.String(), text[i+1:], nil
		case !quoted && unicode.IsSpace(letter):
			return read.String(), text[i:], nil
		default:
			read.WriteRune(letter)
		}
	}
	if quoted || escaped {
		return "", "", errKeywords
	}
	return read.String(), "", nil
}
