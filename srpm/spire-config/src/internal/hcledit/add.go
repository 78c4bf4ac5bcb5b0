package hcledit

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/token"
)

const step = "    "

// add writes a value, as HCL has it, that is not there yet: in the place of a comment that shows it, or
// at the end of the innermost block that is there.
func (d *Document) add(value string, path []string) error {
	block, depth := d.innermost(path)
	rest := path[depth:]
	if len(rest) == 1 {
		if comment := d.commented(block, rest[0]); comment != nil {
			start := comment.Start.Offset
			return d.replace(start, start+len(comment.Text), assignment(value, rest[0]))
		}
	}
	if block == nil {
		return d.appendLines(d.lines("", value, rest))
	}
	return d.insert(block, value, rest)
}

// innermost returns the deepest block on the way of path, and how many of path's
// elements lead there. Without one it is nil.
func (d *Document) innermost(path []string) (*ast.ObjectType, int) {
	for depth := len(path) - 1; depth > 0; depth-- {
		if item := Find(d.root, path[:depth]...); item != nil {
			if block, ok := item.Val.(*ast.ObjectType); ok {
				return block, depth
			}
		}
	}
	return nil, 0
}

// commented returns the comment that shows a value of this name, in this very block.
func (d *Document) commented(block *ast.ObjectType, name string) *ast.Comment {
	if !word.MatchString(name) {
		return nil
	}
	shown := regexp.MustCompile(`^(#|//)\s*` + regexp.QuoteMeta(name) + `\s*=\s*("[^"]*"|[0-9]+|true|false)\s*$`)
	for _, group := range d.file.Comments {
		for _, comment := range group.List {
			if shown.MatchString(comment.Text) && d.startsLine(comment) && d.within(block, comment.Start) {
				return comment
			}
		}
	}
	return nil
}

func (d *Document) startsLine(comment *ast.Comment) bool {
	at := d.offset(comment.Start.Offset)
	return len(bytes.TrimSpace(d.text[d.lineStart(at):at])) == 0
}

// within says whether a place is in a block, or, without one, at the top of the file,
// and in none of the blocks inside.
func (d *Document) within(block *ast.ObjectType, at token.Pos) bool {
	items := d.root.Items
	if block != nil {
		if at.Offset < block.Lbrace.Offset || at.Offset > block.Rbrace.Offset {
			return false
		}
		items = block.List.Items
	}
	for _, item := range items {
		if item.Pos().Offset < at.Offset && at.Offset < nodeEnd(item) {
			return false
		}
	}
	return true
}

// insert writes the lines before the closing brace of a block.
func (d *Document) insert(block *ast.ObjectType, value string, rest []string) error {
	brace := d.offset(block.Rbrace.Offset)
	start := d.lineStart(brace)
	if len(bytes.TrimSpace(d.text[start:brace])) == 0 && block.Lbrace.Line != block.Rbrace.Line {
		return d.splice(start, start, d.lines(d.indent(block, start), value, rest))
	}
	outer := indentOf(d.text[d.lineStart(d.offset(block.Lbrace.Offset)):])
	end := len(bytes.TrimRight(d.text[:brace], " \t"))
	return d.splice(end, brace, d.newline+d.lines(outer+step, value, rest)+outer)
}

// indent is that of the block's other lines.
func (d *Document) indent(block *ast.ObjectType, closing int) string {
	for _, item := range block.List.Items {
		start := d.lineStart(d.offset(item.Pos().Offset))
		if item.Pos().Line != block.Lbrace.Line {
			return indentOf(d.text[start:])
		}
	}
	outer := indentOf(d.text[closing:])
	if strings.Contains(outer, "\t") {
		return outer + "\t"
	}
	return outer + step
}

func indentOf(text []byte) string {
	return string(text[:len(text)-len(bytes.TrimLeft(text, " \t"))])
}

func (d *Document) appendLines(lines string) error {
	if len(d.text) > 0 && d.text[len(d.text)-1] != '\n' {
		lines = d.newline + lines
	}
	return d.splice(len(d.text), len(d.text), lines)
}

// lines writes a value and the blocks around it that are missing. The blocks of
// plugins have labels: a NodeAttestor "join_token".
func (d *Document) lines(indent, value string, path []string) string {
	if len(path) == 1 {
		return indent + assignment(value, path[0]) + d.newline
	}
	head, rest := path[0], path[1:]
	if pluginType.MatchString(head) && len(rest) > 1 {
		head, rest = fmt.Sprintf("%s %s", head, quote(rest[0])), rest[1:]
	}
	return indent + head + " {" + d.newline + d.lines(indent+step, value, rest) + indent + "}" + d.newline
}

// Types of plugins are the only blocks whose names begin with a capital.
var pluginType = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

var word = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func assignment(value, name string) string {
	if !word.MatchString(name) {
		name = quote(name)
	}
	return name + " = " + value
}
