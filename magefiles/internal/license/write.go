package license

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/deb822"
)

// Upstream is the head of Debian's copyright file.
type Upstream struct{ Name, Source string }

// common are the licenses that Debian keeps in /usr/share/common-licenses, by
// SPDX identifier, with the file's name and the notice that stands for them.
var common = map[string]struct{ file, notice string }{
	"Apache-2.0":        {"Apache-2.0", apacheNotice},
	"MPL-2.0":           {"MPL-2.0", mozillaNotice},
	"CC0-1.0":           {"CC0-1.0", ""},
	"GPL-2.0-only":      {"GPL-2", ""},
	"GPL-2.0-or-later":  {"GPL-2", ""},
	"GPL-3.0-only":      {"GPL-3", ""},
	"GPL-3.0-or-later":  {"GPL-3", ""},
	"LGPL-2.1-only":     {"LGPL-2.1", ""},
	"LGPL-2.1-or-later": {"LGPL-2.1", ""},
	"LGPL-3.0-only":     {"LGPL-3", ""},
	"LGPL-3.0-or-later": {"LGPL-3", ""},
}

const (
	apacheNotice = `Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    https://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.`
	mozillaNotice = `This Source Code Form is subject to the terms of the Mozilla Public
License, v. 2.0. If a copy of the MPL was not distributed with this
file, You can obtain one at https://mozilla.org/MPL/2.0/.`
)

// DEP5 writes Debian's machine-readable copyright file: a stanza for each
// entry, then every license once. Texts that differ in more than copyright
// lines and layout are told apart as MIT, MIT~2 and so on.
func (s Set) DEP5(w io.Writer, up Upstream) error {
	var b bytes.Buffer
	field := func(name, first string, more ...string) { b.WriteString(deb822.Field(name, first, more...)) }
	field("Format", "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/")
	field("Upstream-Name", up.Name)
	field("Source", up.Source)
	names := newNames(s.Entries)
	told := map[string]string{}
	for _, e := range s.Entries {
		b.WriteByte('\n')
		field("Files", e.files())
		field("Copyright", e.Copyright[0], e.Copyright[1:]...)
		field("License", names.expression(e))
		if lines := e.comment(told); len(lines) > 0 {
			field("Comment", "", lines...)
		}
	}
	for _, l := range names.list {
		b.WriteByte('\n')
		field("License", l.name, l.lines()...)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// files is the pattern, or for a component outside the tree a name that no
// file of the tree has.
func (e Entry) files() string {
	if e.Place != "" {
		return e.Place
	}
	return "linked/" + strings.ReplaceAll(e.Name, " ", "-") + "/*"
}

// comment names the component and repeats its remarks, a remark that an
// earlier entry had only by reference.
func (e Entry) comment(told map[string]string) []string {
	var lines []string
	for _, remark := range unique(e.remarks) {
		if place, ok := told[words(remark)]; ok {
			lines = append(lines, "See the comment for "+place)
			continue
		}
		told[words(remark)] = e.files()
		lines = append(lines, strings.Split(remark, "\n")...)
	}
	if len(lines) > 0 {
		lines = append([]string{strings.TrimSpace(e.Name + " " + e.Version), ""}, lines...)
	}
	return lines
}

// named is one license text under the name that the stanzas use.
type named struct{ id, name, text string }

// lines is the text, or for a common license the reference to it.
func (n named) lines() []string {
	c, ok := common[n.id]
	if !ok {
		return strings.Split(strings.Trim(withoutCopyright(n.text), "\n"), "\n")
	}
	var lines []string
	if c.notice != "" {
		lines = append(strings.Split(c.notice, "\n"), "")
	}
	return append(lines, "On Debian systems, the full text of this licence is in the file",
		"/usr/share/common-licenses/"+c.file+".")
}

// names gives each distinct license text its name.
type names struct {
	list   []named
	byText map[[2]string]string
	used   map[string]int
}

func newNames(entries []Entry) *names {
	n := &names{byText: map[[2]string]string{}, used: map[string]int{}}
	for _, e := range entries {
		for _, p := range e.pieces {
			n.name(p)
		}
	}
	slices.SortStableFunc(n.list, func(a, b named) int { return strings.Compare(a.id, b.id) })
	return n
}

// name is the name for a text, a new one if its words are new.
func (n *names) name(p piece) string {
	key := [2]string{p.id, words(withoutCopyright(p.text))}
	if _, ok := common[p.id]; ok {
		key[1] = ""
	}
	if name, ok := n.byText[key]; ok {
		return name
	}
	n.used[p.id]++
	name := strings.ReplaceAll(p.id, " WITH ", "-with-")
	if count := n.used[p.id]; count > 1 {
		name = fmt.Sprintf("%s~%d", name, count)
	}
	n.byText[key] = name
	n.list = append(n.list, named{p.id, name, p.text})
	return name
}

// expression is the entry's license in Debian's grammar, where "or" binds
// less than "and" and a comma less than both.
func (n *names) expression(e Entry) string {
	var parts []string
	for _, t := range sorted(e.terms) {
		var alternatives []string
		for _, id := range t {
			alternatives = append(alternatives, strings.Join(n.of(e, id), " and "))
		}
		parts = append(parts, strings.Join(alternatives, " or "))
	}
	single := func(part string) bool { return !strings.Contains(part, " or ") }
	if len(parts) == 1 || !slices.ContainsFunc(parts, func(p string) bool { return !single(p) }) {
		return strings.Join(parts, " and ")
	}
	return strings.Join(parts, ", and ")
}

// of is the names of the entry's texts of one license.
func (n *names) of(e Entry, id string) []string {
	var list []string
	for _, p := range e.pieces {
		if p.id == id {
			list = append(list, n.name(p))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// words is a text without layout and punctuation, to tell whether two say the
// same.
func words(text string) string {
	other := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), other), " ")
}

// rule sets the parts of the plain text apart.
var rule = strings.Repeat("=", 78)

// ThirdParty writes every text verbatim, equal ones once, below the list of
// components that it comes from.
func (s Set) ThirdParty(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Licences of what is linked in: %s\n", s.Expression())
	sources := map[string][]string{}
	var order []string
	for _, e := range s.Entries {
		for _, f := range e.Files {
			key := words(f.Text)
			if sources[key] == nil {
				order = append(order, f.Text)
			}
			sources[key] = append(sources[key], e.source(f))
		}
	}
	for _, text := range order {
		fmt.Fprintf(&b, "\n%s\n%s\n%s\n\n", rule, strings.Join(sources[words(text)], "\n"), rule)
		b.WriteString(strings.Trim(text, "\n") + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// source names a file as "name version: license (file)".
func (e Entry) source(f File) string {
	name := strings.TrimSpace(e.Name + " " + e.Version)
	return fmt.Sprintf("%s: %s (%s)", name, e.label(), path.Join(strings.TrimSuffix(e.Place, "*"), f.Name))
}

func (e Entry) label() string {
	if e.License == "" {
		return "notice"
	}
	return e.License
}
