// Package config reads configurations of SPIRE as its programs do: HCL or JSON, after
// ${NAME} has been replaced by the variables of the unit.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"

	"github.com/spiffe-experimental/spire-config/internal/envfile"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
)

// A File is a configuration that was read.
type File struct {
	Path string
	// Variables are the places of ${NAME}, comments left out.
	Variables []Variable
	root      *ast.ObjectList
}

// A Variable is one that the configuration takes from the environment.
type Variable struct {
	Name string
	Line int
	// Set says whether the environment has it, and not empty.
	Set bool
}

// Read reads a configuration, and the variables of its unit.
func Read(path string, env map[string]string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tree, err := hcl.Parse(expand(string(text), env))
	if err != nil {
		return nil, fmt.Errorf("%s is no configuration: %w", path, err)
	}
	root, ok := tree.Node.(*ast.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%s is no configuration: nothing is set in it", path)
	}
	return &File{Path: path, Variables: variables(string(text), env), root: nest(root)}, nil
}

// nest gives each block one key: NodeAttestor "join_token" { } and, as JSON has it,
// plugins NodeAttestor join_token { } become blocks in blocks.
func nest(list *ast.ObjectList) *ast.ObjectList {
	nested := &ast.ObjectList{}
	for _, item := range list.Items {
		value := item.Val
		if object, ok := value.(*ast.ObjectType); ok {
			value = &ast.ObjectType{Lbrace: object.Lbrace, Rbrace: object.Rbrace, List: nest(object.List)}
		}
		for i := len(item.Keys) - 1; i > 0; i-- {
			inner := &ast.ObjectItem{Keys: item.Keys[i : i+1], Val: value}
			value = &ast.ObjectType{List: &ast.ObjectList{Items: []*ast.ObjectItem{inner}}}
		}
		if len(item.Keys) > 0 {
			nested.Add(&ast.ObjectItem{Keys: item.Keys[:1], Val: value})
		}
	}
	return nested
}

// Env reads each EnvironmentFile= of a unit, which need not be there; later ones win. With
// an error comes what was read before it.
func Env(paths ...string) (map[string]string, error) {
	env := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return env, err
		}
		maps.Copy(env, envfile.Parse(text))
	}
	return env, nil
}

// credentials is set by systemd itself, where the unit has LoadCredential=.
const credentials = "CREDENTIALS_DIRECTORY"

// Credentials is the folder that stands for what systemd will set.
const Credentials = "/run/credentials"

func expand(text string, env map[string]string) string {
	return os.Expand(text, func(name string) string {
		switch name {
		case "$":
			return "$"
		case credentials:
			return Credentials
		}
		return env[name]
	})
}

func variables(text string, env map[string]string) []Variable {
	var found []Variable
	for number, line := range strings.Split(text, "\n") {
		os.Expand(uncommented(line), func(name string) string {
			if name != "$" && name != "" && name != credentials {
				found = append(found, Variable{name, number + 1, env[name] != ""})
			}
			return ""
		})
	}
	return found
}

// comment is one that takes a whole line, which is where variables are explained.
var comment = regexp.MustCompile(`^\s*(#|//).*`)

func uncommented(line string) string { return comment.ReplaceAllString(line, "") }

// A Value is what stands in the configuration, and where.
type Value struct {
	Text string
	Line int
}

// Value returns the value that path leads to; a line of 0 says that there is none.
func (f *File) Value(path ...string) Value { return valueOf(hcledit.Find(f.root, path...)) }

func valueOf(item *ast.ObjectItem) Value {
	if item == nil {
		return Value{}
	}
	literal, ok := item.Val.(*ast.LiteralType)
	if !ok {
		return Value{}
	}
	text, err := hcledit.Literal(literal.Token)
	if err != nil {
		text = literal.Token.Text
	}
	return Value{text, item.Pos().Line}
}

// Has says whether there is a block or value of that name.
func (f *File) Has(path ...string) bool { return hcledit.Find(f.root, path...) != nil }

// Line is where a block or value is.
func (f *File) Line(path ...string) int {
	if item := hcledit.Find(f.root, path...); item != nil {
		return item.Pos().Line
	}
	return 1
}

// A Plugin is one of the block plugins.
type Plugin struct {
	Type, Name string
	Line       int
	Command    Value
	Checksum   Value
	data       *ast.ObjectList
}

// Plugins are the plugins that are configured and not switched off.
func (f *File) Plugins() []Plugin {
	var all []Plugin
	for _, block := range blocks(f.root) {
		if !strings.EqualFold(hcledit.Key(block.Keys[0]), "plugins") {
			continue
		}
		for _, kind := range blocks(list(block)) {
			for _, plugin := range blocks(list(kind)) {
				all = append(all, enabled(hcledit.Key(kind.Keys[0]), hcledit.Key(plugin.Keys[0]), plugin, list(plugin))...)
			}
		}
	}
	return all
}

// blocks are the items that have items themselves.
func blocks(of *ast.ObjectList) []*ast.ObjectItem {
	var all []*ast.ObjectItem
	for _, item := range of.Items {
		if _, ok := item.Val.(*ast.ObjectType); ok {
			all = append(all, item)
		}
	}
	return all
}

func list(block *ast.ObjectItem) *ast.ObjectList { return block.Val.(*ast.ObjectType).List }

func enabled(kind, name string, item *ast.ObjectItem, body *ast.ObjectList) []Plugin {
	if valueOf(hcledit.Find(body, "enabled")).Text == "false" {
		return nil
	}
	plugin := Plugin{Type: kind, Name: name, Line: item.Pos().Line,
		Command: valueOf(hcledit.Find(body, "plugin_cmd")), Checksum: valueOf(hcledit.Find(body, "plugin_checksum"))}
	if data := hcledit.Find(body, "plugin_data"); data != nil {
		if object, ok := data.Val.(*ast.ObjectType); ok {
			plugin.data = object.List
		}
	}
	return []Plugin{plugin}
}

// Value is a value of the plugin's plugin_data.
func (p Plugin) Value(path ...string) Value {
	if p.data == nil {
		return Value{}
	}
	return valueOf(hcledit.Find(p.data, path...))
}

// Text is the text of such a value, or "".
func (p Plugin) Text(name string) string { return p.Value(name).Text }

// Keys are the names in plugin_data, with their lines.
func (p Plugin) Keys() map[string]int {
	keys := map[string]int{}
	if p.data == nil {
		return keys
	}
	for _, item := range p.data.Items {
		keys[hcledit.Key(item.Keys[0])] = item.Pos().Line
	}
	return keys
}

// Plugin returns a plugin that is configured.
func (f *File) Plugin(kind, name string) (Plugin, bool) {
	all := f.Plugins()
	at := slices.IndexFunc(all, func(p Plugin) bool { return p.Type == kind && p.Name == name })
	if at < 0 {
		return Plugin{}, false
	}
	return all[at], true
}

// Values are all values of the file that are text, with their names, in its order.
func (f *File) Values() []NamedValue { return values(f.root) }

// A NamedValue is a value with its name, without the blocks around it.
type NamedValue struct {
	Name string
	Value
}

var (
	// fileName are the names of values that name a file which must be there.
	fileName = regexp.MustCompile(`(_path|_paths|_file)$`)
	// written are files that the service makes itself, and sockets of others.
	written = regexp.MustCompile(`(^|_)(socket_path|log_file|keys_path|agent_path_template|key_identifier_file|log_path)$|^path$|^(svid|bundle).*_file|_device_path$`)
)

// Files are the values that name a file which the service reads.
func (f *File) Files() []NamedValue {
	return slices.DeleteFunc(f.Values(), func(value NamedValue) bool {
		return !fileName.MatchString(value.Name) || written.MatchString(value.Name) || !strings.HasPrefix(value.Text, "/")
	})
}

func values(list *ast.ObjectList) []NamedValue {
	var all []NamedValue
	for _, item := range list.Items {
		switch value := item.Val.(type) {
		case *ast.ObjectType:
			all = append(all, values(value.List)...)
		case *ast.LiteralType:
			all = append(all, NamedValue{hcledit.Key(item.Keys[0]), valueOf(item)})
		case *ast.ListType:
			all = append(all, elements(item, value)...)
		}
	}
	return all
}

func elements(item *ast.ObjectItem, list *ast.ListType) []NamedValue {
	var all []NamedValue
	for _, element := range list.List {
		if literal, ok := element.(*ast.LiteralType); ok {
			text, err := hcledit.Literal(literal.Token)
			if err == nil {
				all = append(all, NamedValue{hcledit.Key(item.Keys[0]), Value{text, literal.Pos().Line}})
			}
		}
	}
	return all
}
