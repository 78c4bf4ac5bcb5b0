package hcledit

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/hcl/ast"
	"github.com/hashicorp/hcl/hcl/token"
)

// Find returns the first item below list that path leads to, or nil. A block with
// labels, such as NodeAttestor "join_token", takes one element of the path for each.
func Find(list *ast.ObjectList, path ...string) *ast.ObjectItem {
	for _, item := range list.Items {
		n := len(item.Keys)
		if n == 0 || n > len(path) || !matches(item.Keys, path[:n]) {
			continue
		}
		if n == len(path) {
			return item
		}
		if block, ok := item.Val.(*ast.ObjectType); ok {
			if found := Find(block.List, path[n:]...); found != nil {
				return found
			}
		}
	}
	return nil
}

func matches(keys []*ast.ObjectKey, path []string) bool {
	for i, key := range keys {
		// As HCL compares the names of fields.
		if !strings.EqualFold(Key(key), path[i]) {
			return false
		}
	}
	return true
}

// Key returns a key without its quotes.
func Key(key *ast.ObjectKey) string {
	text, err := Literal(key.Token)
	if err != nil {
		return key.Token.Text
	}
	return text
}

// Literal returns the text of a string, number or word as HCL understands it. The
// parser's own way to the value panics on what cannot be unquoted.
func Literal(tok token.Token) (text string, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("line %d: %v", tok.Pos.Line, fault)
		}
	}()
	if tok.Type != token.STRING && tok.Type != token.HEREDOC {
		return tok.Text, nil
	}
	return fmt.Sprint(tok.Value()), nil
}
