// Package hcledit changes single values of an HCL file as an admin would: comments,
// order and layout of all the rest stay as they are, byte for byte.
package hcledit

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/parser"
	"github.com/hashicorp/hcl/hcl/token"
)

// A Document is the text of a file together with what the parser sees in it.
type Document struct {
	text []byte
	// Where the parser, which turns "\r\n" into "\n" first, left out a byte: the
	// places of these "\n" in what it saw, ascending.
	returns []int
	newline string
	file    *ast.File
	root    *ast.ObjectList
}

// Parse reads HCL. JSON, which SPIRE accepts as well, is refused: it has no comments,
// and needs another hand.
func Parse(text []byte) (*Document, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil, errors.New("it is JSON, and HCL alone can be edited: change it by hand")
	}
	file, err := parser.Parse(variable.ReplaceAllFunc(text, digits))
	if err != nil {
		return nil, err
	}
	root, ok := file.Node.(*ast.ObjectList)
	if !ok {
		return nil, errors.New("no list of values at the top of the file")
	}
	if err := numbers(root); err != nil {
		return nil, err
	}
	document := &Document{text: slices.Clone(text), newline: "\n", file: file, root: root}
	document.findReturns()
	document.variables()
	return document, nil
}

// variable is one that stands for a number or a word, and so has no quotes: SPIRE reads
// HCL when it has replaced it. Those in strings are like any text.
var variable = regexp.MustCompile(`=[ \t]*\$\{[A-Za-z0-9_]+\}`)

// digits are the same length of a number, for the parser.
func digits(assigned []byte) []byte {
	start := bytes.IndexByte(assigned, '$')
	return append(slices.Clone(assigned[:start]), bytes.Repeat([]byte("1"), len(assigned)-start)...)
}

// variables gives the values back what they are in the text.
func (d *Document) variables() {
	if !variable.Match(d.text) {
		return
	}
	restore := func(tok *token.Token) {
		start := d.offset(tok.Pos.Offset)
		if end := d.offset(tok.Pos.Offset + len(tok.Text)); end <= len(d.text) {
			tok.Text = strings.ReplaceAll(string(d.text[start:end]), "\r\n", "\n")
		}
	}
	ast.Walk(d.root, func(node ast.Node) (ast.Node, bool) {
		switch node := node.(type) {
		case *ast.LiteralType:
			restore(&node.Token)
		case *ast.ObjectKey:
			restore(&node.Token)
		}
		return node, true
	})
}

// cut is a number that ends where its exponent should come.
var cut = regexp.MustCompile(`^[^xX]*[eE][+-]?\s*$`)

// numbers refuses those that are none: the parser takes the end of the line, if there is
// one, as a part of them.
func numbers(root *ast.ObjectList) error {
	var err error
	ast.Walk(root, func(node ast.Node) (ast.Node, bool) {
		literal, ok := node.(*ast.LiteralType)
		if ok && (literal.Token.Type == token.NUMBER || literal.Token.Type == token.FLOAT) && cut.MatchString(literal.Token.Text) {
			err = fmt.Errorf("line %d: %s is no number: put it into quotes", literal.Pos().Line, strings.TrimSpace(literal.Token.Text))
		}
		return node, err == nil
	})
	return err
}

func (d *Document) findReturns() {
	for i := 0; i+1 < len(d.text); i++ {
		if d.text[i] == '\r' && d.text[i+1] == '\n' {
			d.returns = append(d.returns, i-len(d.returns))
		}
	}
	if first := bytes.IndexByte(d.text, '\n'); first > 0 && d.text[first-1] == '\r' {
		d.newline = "\r\n"
	}
}

// offset is the place in the text of what the parser saw at that one.
func (d *Document) offset(seen int) int {
	before, _ := slices.BinarySearch(d.returns, seen)
	return seen + before
}

// Bytes returns the text as it is now.
func (d *Document) Bytes() []byte { return slices.Clone(d.text) }

// Value returns the value that path leads to, and whether there is one that is a
// string, a number or a word.
func (d *Document) Value(path ...string) (string, bool) {
	item := Find(d.root, path...)
	if item == nil {
		return "", false
	}
	literal, ok := item.Val.(*ast.LiteralType)
	if !ok {
		return "", false
	}
	text, err := Literal(literal.Token)
	return text, err == nil
}

// Set gives the value that path leads to. One that is there is replaced where it
// stands; one that is there as a comment is uncommented; any other is added at the end
// of its block, which is made where it is missing. After an error all is as it was.
func (d *Document) Set(value string, path ...string) error {
	before := *d
	err := d.set(value, path)
	if err == nil {
		err = d.reads(value, path)
	}
	if err != nil {
		*d = before
		return fmt.Errorf("setting %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

func (d *Document) set(value string, path []string) error {
	if len(path) == 0 {
		return errors.New("no name given")
	}
	item := Find(d.root, path...)
	if item == nil {
		return d.add(quote(value), path)
	}
	literal, ok := item.Val.(*ast.LiteralType)
	if !ok {
		return fmt.Errorf("line %d has not a single value there", item.Pos().Line)
	}
	if current, err := Literal(literal.Token); err == nil && current == value {
		return nil
	}
	start, end := literal.Pos().Offset, literal.Pos().Offset+len(literal.Token.Text)
	return d.replace(start, end, like(literal.Token, value))
}

// SetList gives a list of strings to what path leads to, as Set does a value.
func (d *Document) SetList(values []string, path ...string) error {
	before := *d
	err := d.setList(values, path)
	if got := d.list(path); err == nil && !slices.Equal(got, values) {
		err = fmt.Errorf("%q would read as %q", values, got)
	}
	if err != nil {
		*d = before
		return fmt.Errorf("setting %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

func (d *Document) setList(values []string, path []string) error {
	if len(path) == 0 {
		return errors.New("no name given")
	}
	var quoted []string
	for _, value := range values {
		quoted = append(quoted, quote(value))
	}
	text := "[" + strings.Join(quoted, ", ") + "]"
	item := Find(d.root, path...)
	if item == nil {
		return d.add(text, path)
	}
	if slices.Equal(d.list(path), values) {
		return nil
	}
	current, ok := item.Val.(*ast.ListType)
	if !ok {
		return fmt.Errorf("line %d has no list there", item.Pos().Line)
	}
	return d.replace(current.Lbrack.Offset, current.Rbrack.Offset+1, text)
}

// list are the strings of the list that path leads to.
func (d *Document) list(path []string) []string {
	item := Find(d.root, path...)
	if item == nil {
		return nil
	}
	list, ok := item.Val.(*ast.ListType)
	if !ok {
		return nil
	}
	var values []string
	for _, element := range list.List {
		if literal, ok := element.(*ast.LiteralType); ok {
			text, err := Literal(literal.Token)
			if err != nil {
				return nil
			}
			values = append(values, text)
		}
	}
	return values
}

// reads says no to an edit that does not read back as what was meant.
func (d *Document) reads(value string, path []string) error {
	if got, ok := d.Value(path...); !ok || got != value {
		return fmt.Errorf("%q would read as %q", value, got)
	}
	return nil
}

// Remove takes away what path leads to, with its line where nothing else is on it.
// What is not there is no error.
func (d *Document) Remove(path ...string) error {
	item := Find(d.root, path...)
	if item == nil {
		return nil
	}
	start, end := d.line(item.Pos().Offset, nodeEnd(item))
	if err := d.splice(start, end, ""); err != nil {
		return fmt.Errorf("removing %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

// Rename gives the block that path leads to another last label, or name.
func (d *Document) Rename(name string, path ...string) error {
	item := Find(d.root, path...)
	if item == nil {
		return fmt.Errorf("there is no %s", strings.Join(path, "."))
	}
	key := item.Keys[len(item.Keys)-1].Token
	text := name
	if key.Type == token.STRING || !word.MatchString(name) {
		text = quote(name)
	}
	if err := d.replace(key.Pos.Offset, key.Pos.Offset+len(key.Text), text); err != nil {
		return fmt.Errorf("renaming %s: %w", strings.Join(path, "."), err)
	}
	return nil
}

// Labels are the labels of the blocks of that name in the block that path leads to: the
// plugins of a type.
func (d *Document) Labels(name string, path ...string) []string {
	block := Find(d.root, path...)
	if block == nil {
		return nil
	}
	object, ok := block.Val.(*ast.ObjectType)
	if !ok {
		return nil
	}
	var labels []string
	for _, item := range object.List.Items {
		if len(item.Keys) == 2 && strings.EqualFold(Key(item.Keys[0]), name) {
			labels = append(labels, Key(item.Keys[1]))
		}
	}
	return labels
}

// line widens the place of an item, by what the parser saw, to its lines in the text,
// unless others share them.
func (d *Document) line(seenStart, seenEnd int) (int, int) {
	start, end := d.offset(seenStart), d.offset(seenEnd)
	before := d.lineStart(start)
	after := end + len(d.text[end:])
	if next := bytes.IndexByte(d.text[end:], '\n'); next >= 0 {
		after = end + next + 1
	}
	rest := strings.TrimSpace(strings.TrimLeft(string(d.text[end:after]), " \t,"))
	alone := rest == "" || strings.HasPrefix(rest, "#") || strings.HasPrefix(rest, "//")
	if alone && len(bytes.TrimSpace(d.text[before:start])) == 0 {
		return before, after
	}
	if end < len(d.text) && d.text[end] == ',' {
		end++
	}
	return start, end
}

func (d *Document) lineStart(at int) int {
	return bytes.LastIndexByte(d.text[:at], '\n') + 1
}

// nodeEnd is the place behind an item.
func nodeEnd(item *ast.ObjectItem) int {
	switch value := item.Val.(type) {
	case *ast.ObjectType:
		return value.Rbrace.Offset + 1
	case *ast.ListType:
		return value.Rbrack.Offset + 1
	case *ast.LiteralType:
		return value.Pos().Offset + len(strings.TrimSuffix(value.Token.Text, "\n"))
	}
	return item.Val.Pos().Offset
}

// replace puts text in the place of what the parser saw there.
func (d *Document) replace(start, end int, text string) error {
	return d.splice(d.offset(start), d.offset(end), text)
}

// splice changes the text and reads it again; what is no HCL any more is not taken.
func (d *Document) splice(start, end int, text string) error {
	if start > end || end > len(d.text) {
		return errors.New("the parser's positions do not fit the text")
	}
	changed, err := Parse(slices.Concat(d.text[:start], []byte(text), d.text[end:]))
	if err != nil {
		return err
	}
	*d = *changed
	return nil
}

// Octal numbers, too: modes of files.
var number = regexp.MustCompile(`^[0-9]+$`)

// like writes a value as the one that stood there was written.
func like(old token.Token, value string) string {
	switch {
	case old.Type == token.NUMBER && number.MatchString(value):
		return value
	case old.Type == token.BOOL && (value == "true" || value == "false"):
		return value
	case old.Type == token.HEREDOC && strings.HasSuffix(old.Text, "\n"):
		return quote(value) + "\n"
	}
	return quote(value)
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "\r", `\r`)

func quote(value string) string { return `"` + escapes.Replace(value) + `"` }
