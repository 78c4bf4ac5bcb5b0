package pkgdef

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Open is a decision about a license that a person has to make.
type Open struct {
	Allowance        // without a reason; its license is a guess
	Why       string // it has to be made, in a line
}

// Adoption is what a source's definition is to say of a version.
type Adoption struct {
	Version   string
	Pin       Pin
	Open      []Open
	Supported Supported // without minors: as it is
}

// Adopt changes the text of a source.yaml, and nothing else in it: comments and order
// stay. What is there already is not written again.
func (a Adoption) Adopt(content []byte) ([]byte, error) {
	steps := []func(*definition) error{
		func(d *definition) error { return d.pin(a.Version, a.Pin) },
		func(d *definition) error { return d.support(a.Supported) },
	}
	for _, open := range a.Open {
		steps = append(steps, func(d *definition) error { return d.open(open) })
	}
	for _, step := range steps {
		d, err := readDefinition(content)
		if err == nil {
			err = step(&d)
		}
		if err != nil {
			return nil, fmt.Errorf("writing %s into a source.yaml: %w", a.Version, err)
		}
		content = []byte(strings.Join(d.lines, ""))
	}
	return content, a.check(content)
}

// check reads the text as LoadSource does: a slip in it would be found too late.
func (a Adoption) check(content []byte) error {
	var source Source
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	err := decoder.Decode(&source)
	if pin := source.Releases[a.Version]; err == nil && (pin.Sum != a.Pin.Sum || pin.Commit != a.Pin.Commit || !pin.Time.Equal(a.Pin.Time) || pin.Vendor != a.Pin.Vendor) {
		err = fmt.Errorf("releases: %s is %+v, not %+v", a.Version, pin, a.Pin)
	}
	if err != nil {
		return fmt.Errorf("writing %s into a source.yaml: what comes out is not what was meant: %w", a.Version, err)
	}
	return nil
}

// definition is the text of a source.yaml, with what it says.
type definition struct {
	lines []string // each with its end
	root  *yaml.Node
}

func readDefinition(content []byte) (d definition, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return d, err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return d, fmt.Errorf("it is no mapping")
	}
	if !bytes.HasSuffix(content, []byte("\n")) {
		content = append(content, '\n')
	}
	return definition{slices.Collect(strings.Lines(string(content))), document.Content[0]}, nil
}

// part is a value, with the lines that it and its key take, counted from 0 and
// without the one at the end.
type part struct {
	name  string
	node  *yaml.Node
	from  int
	until int
}

// parts are those of a mapping or a list that ends before a line. Blank lines and
// comments before a part are not the part's before it.
func (d definition) parts(of *yaml.Node, until int) (all []part) {
	step := 1
	if of.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i+step <= len(of.Content); i += step {
		all = append(all, part{of.Content[i].Value, of.Content[i+step-1], of.Content[i].Line - 1, until})
	}
	for i := range all {
		if i+1 < len(all) {
			all[i].until = all[i+1].from
		}
		indent := indentOf(d.lines[all[i].from])
		for all[i].until > all[i].from+1 && between(d.lines[all[i].until-1], indent) {
			all[i].until--
		}
	}
	return all
}

// between says whether a line is blank, or a comment that is no part of a value.
func between(line string, indent int) bool {
	text := strings.TrimSpace(line)
	return text == "" || strings.HasPrefix(text, "#") && indentOf(line) <= indent
}

func indentOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// section is a key at the top, with its parts. One that is not there is begun at the
// end of the file.
func (d *definition) section(name string) (top part, parts []part, err error) {
	all := d.parts(d.root, len(d.lines))
	i := slices.IndexFunc(all, func(p part) bool { return p.name == name })
	if i < 0 {
		d.lines = append(d.lines, "\n", name+":\n")
		end := len(d.lines)
		return part{name, nil, end - 1, end}, nil, nil
	}
	if all[i].node.Tag == "!!null" {
		return all[i], nil, nil
	}
	if all[i].node.Style&yaml.FlowStyle != 0 || all[i].node.Line == all[i].from+1 {
		return part{}, nil, fmt.Errorf("%s: write it with a line for each entry (line %d)", name, all[i].from+1)
	}
	return all[i], d.parts(all[i].node, all[i].until), nil
}

// insert puts lines before a line.
func (d *definition) insert(at int, text string) {
	d.lines = slices.Insert(d.lines, at, slices.Collect(strings.Lines(text))...)
}

// pin writes what is known of a version, in the order of versions.
func (d *definition) pin(version string, pin Pin) error {
	top, known, err := d.section("releases")
	if err != nil {
		return err
	}
	vendor := "    vendor: " + pin.Vendor + "\n"
	at := top.from + 1
	for _, one := range known {
		if one.name == version {
			var before Pin
			if err := one.node.Decode(&before); err == nil && before.Vendor == "" {
				d.insert(one.until, vendor)
			}
			return nil
		}
		if compareMinors(one.name, version) < 0 {
			at = one.until
		}
	}
	d.insert(at, fmt.Sprintf("  %s:\n    sum: %s\n    commit: %s\n    time: %s\n", version, pin.Sum, pin.Commit, pin.Time.UTC().Format(time.RFC3339))+vendor)
	return nil
}

// open writes an entry that is refused until somebody has written its reason.
func (d *definition) open(open Open) error {
	top, known, err := d.section("allow")
	if err != nil {
		return err
	}
	for _, one := range known {
		var there Allowance
		if err := one.node.Decode(&there); err == nil && there.Module == open.Module && there.File == open.File {
			return nil
		}
	}
	entry, err := yaml.Marshal(struct {
		Module  string
		File    string `yaml:",omitempty"`
		License string
		Reason  string
	}{open.Module, open.File, open.License, ""})
	if err != nil {
		return err
	}
	lines := slices.Collect(strings.Lines(string(entry)))
	d.insert(top.until, "  # To be judged: "+comment(open.Why)+"\n  - "+strings.Join(lines, "    "))
	return nil
}

// comment is somebody else's text in one line.
func comment(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)), " ")
}

var (
	minorsLine = regexp.MustCompile(`^( +minors: )\S.*\n$`)
	dayLine    = regexp.MustCompile(`^( +day: )\S.*\n$`)
)

// support writes which minor versions upstream supports, and when that was seen, where
// it is another than before.
func (d *definition) support(now Supported) error {
	all := d.parts(d.root, len(d.lines))
	i := slices.IndexFunc(all, func(p part) bool { return p.name == "supported" })
	var before Supported
	if i < 0 || all[i].node.Decode(&before) != nil || len(now.Minors) == 0 || slices.Equal(before.Minors, now.Minors) {
		return nil // that nobody has written is not begun here
	}
	for at := all[i].from; at < all[i].until; at++ {
		d.lines[at] = minorsLine.ReplaceAllString(d.lines[at], `${1}["`+strings.Join(now.Minors, `", "`)+"\"]\n")
		d.lines[at] = dayLine.ReplaceAllString(d.lines[at], "${1}"+now.Day+"\n")
	}
	return nil
}
