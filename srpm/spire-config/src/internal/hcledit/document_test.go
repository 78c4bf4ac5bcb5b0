package hcledit

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/hcl/ast"
)

func TestSet(t *testing.T) {
	for name, test := range map[string]struct {
		path              []string
		value             string
		before, after     string
		wantErr, parseErr string
	}{
		"a value where it stands": {
			path: []string{"agent", "server_address"}, value: "spire.example.org",
			before: "agent {\n  # 1 of 2\n  server_address   =  \"127.0.0.1\" # here\n  x = 1\n}\n",
			after:  "agent {\n  # 1 of 2\n  server_address   =  \"spire.example.org\" # here\n  x = 1\n}\n",
		},
		"a number stays one": {
			path: []string{"agent", "server_port"}, value: "443",
			before: "agent { server_port = 8081 }\n", after: "agent { server_port = 443 }\n",
		},
		"a number that becomes a word": {
			path: []string{"agent", "server_port"}, value: "${PORT}",
			before: "agent { server_port = 8081 }\n", after: "agent { server_port = \"${PORT}\" }\n",
		},
		"a comment that shows it": {
			path: []string{"server", "agent_ttl"}, value: "24h",
			before: "server {\n    a = \"b\"\n    # agent_ttl = \"48h\"\n    # ca_ttl = \"288h\"\n}\n",
			after:  "server {\n    a = \"b\"\n    agent_ttl = \"24h\"\n    # ca_ttl = \"288h\"\n}\n",
		},
		"not a comment of another block": {
			path: []string{"agent", "x"}, value: "1",
			before: "agent {\n\tsds {\n\t\t# x = \"0\"\n\t}\n}\n",
			after:  "agent {\n\tsds {\n\t\t# x = \"0\"\n\t}\n\tx = \"1\"\n}\n",
		},
		"not prose": {
			path: []string{"agent", "x"}, value: "1",
			before: "agent {\n  # x = the unknown\n}\n",
			after:  "agent {\n  # x = the unknown\n    x = \"1\"\n}\n",
		},
		"a block on one line": {
			path: []string{"plugins", "WorkloadAttestor", "unix", "plugin_data", "discover_workload_path"}, value: "true",
			before: "plugins {\n    WorkloadAttestor \"unix\" {\n        plugin_data {}\n    }\n}\n",
			after:  "plugins {\n    WorkloadAttestor \"unix\" {\n        plugin_data {\n            discover_workload_path = \"true\"\n        }\n    }\n}\n",
		},
		"a block that is not there": {
			path: []string{"plugins", "NodeAttestor", "x509pop", "plugin_data", "mode"}, value: "spiffe",
			before: "plugins {\n}\n",
			after:  "plugins {\n    NodeAttestor \"x509pop\" {\n        plugin_data {\n            mode = \"spiffe\"\n        }\n    }\n}\n",
		},
		"an empty file": {
			path: []string{"cert_dir"}, value: ".", before: "", after: "cert_dir = \".\"\n",
		},
		"a last line without its end": {
			path: []string{"b"}, value: "2", before: "a = 1", after: "a = 1\nb = \"2\"\n",
		},
		"lines of Windows": {
			path: []string{"agent", "b"}, value: "2",
			before: "agent {\r\n  # ä\r\n  a = 1\r\n  b = \"1\" # one\r\n}\r\n",
			after:  "agent {\r\n  # ä\r\n  a = 1\r\n  b = \"2\" # one\r\n}\r\n",
		},
		"a line added among those of Windows": {
			path: []string{"agent", "b"}, value: "2",
			before: "agent {\r\n  a = 1\r\n}\r\n", after: "agent {\r\n  a = 1\r\n  b = \"2\"\r\n}\r\n",
		},
		"what must be escaped": {
			path: []string{"a"}, value: `C:\new "x"`, before: "a = \"b\"\n", after: `a = "C:\\new \"x\""` + "\n",
		},
		"a list is no single value": {
			path: []string{"a"}, value: "b", before: "a = [1]\n", wantErr: "setting a: line 1 has not a single value there",
		},
		"a variable in the place of a number": {
			path: []string{"agent", "server_port"}, value: "443",
			before: "agent {\r\n  a = \"x=${A}\"\r\n  server_port = ${PORT} # b = ${B}\r\n  c = ${C}\r\n}\r\n",
			after:  "agent {\r\n  a = \"x=${A}\"\r\n  server_port = 443 # b = ${B}\r\n  c = ${C}\r\n}\r\n",
		},
		"a variable that is there": {
			path: []string{"agent", "server_port"}, value: "${PORT}",
			before: "agent { server_port = ${PORT} }\n", after: "agent { server_port = ${PORT} }\n",
		},
		"a variable in a string": {
			path: []string{"a"}, value: "y", before: "a = \"x=${A}\"\nb = <<EOF\n=${B}\nEOF\n", after: "a = \"y\"\nb = <<EOF\n=${B}\nEOF\n",
		},
		"a number without its exponent": {before: "a = 1E\nb = 1\n", parseErr: "line 1: 1E is no number: put it into quotes"},
		"JSON":                          {before: `{"agent": {}}`, parseErr: "it is JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := Parse([]byte(test.before))
			if !says(err, test.parseErr) {
				t.Fatalf("Parse: %v, want %q", err, test.parseErr)
			}
			if err != nil {
				return
			}
			if err := document.Set(test.value, test.path...); !says(err, test.wantErr) {
				t.Fatalf("Set: %v, want %q", err, test.wantErr)
			} else if err != nil {
				return
			}
			if diff := cmp.Diff(test.after, string(document.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func says(err error, words string) bool {
	if err == nil || words == "" {
		return err == nil && words == ""
	}
	return strings.Contains(err.Error(), words)
}

func TestErrorsChangeNothing(t *testing.T) {
	const text = "a = \"b\"\n"
	document, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	// HCL unquotes nothing between these braces.
	if err := document.Set(`${"x"}`, "a"); err == nil {
		t.Error("a value that cannot be written is no error")
	}
	if got := string(document.Bytes()); got != text {
		t.Errorf("it is now %q", got)
	}
}

func TestRemove(t *testing.T) {
	for name, test := range map[string]struct {
		path          []string
		before, after string
	}{
		"a line":        {[]string{"agent", "b"}, "agent {\n  a = 1\n  b = 2 # two\n  c = 3\n}\n", "agent {\n  a = 1\n  c = 3\n}\n"},
		"among others":  {[]string{"agent", "b"}, "agent { a = 1, b = 2, c = 3 }\n", "agent { a = 1,  c = 3 }\n"},
		"a block":       {[]string{"agent"}, "agent {\n  a = 1\n}\nb = 1\n", "b = 1\n"},
		"a list":        {[]string{"a"}, "a = [\n 1,\n 2\n]\nb = 1\n", "b = 1\n"},
		"what is not":   {[]string{"c"}, "a = 1\n", "a = 1\n"},
		"lines of DOS":  {[]string{"a"}, "b = 1\r\na = 1\r\nc = 1\r\n", "b = 1\r\nc = 1\r\n"},
		"the last line": {[]string{"b"}, "a = 1\nb = 2", "a = 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := Parse([]byte(test.before))
			if err != nil {
				t.Fatal(err)
			}
			if err := document.Remove(test.path...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.after, string(document.Bytes())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRename(t *testing.T) {
	document, err := Parse([]byte("plugins {\r\n  A \"one\" { x = 1 }\r\n  A \"two\" {}\r\n  B \"one\" {}\r\n}\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Rename("three", "plugins", "A", "two"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"one", "three"}, document.Labels("A", "plugins")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("plugins {\r\n  A \"one\" { x = 1 }\r\n  A \"three\" {}\r\n  B \"one\" {}\r\n}\r\n", string(document.Bytes())); diff != "" {
		t.Error(diff)
	}
	if err := document.Rename("x", "plugins", "C", "one"); !says(err, "there is no plugins.C.one") {
		t.Error(err)
	}
}

// TestOthersStay edits every value of every file, and adds one to every block: nothing
// but that one line may differ, and taking it back gives the file as it was. The files are
// those in testdata, of SPIRE's source, where SPIRE_TEST_TREE names it, and of the folders
// in SPIRE_TEST_CONFIGS, with colons between.
func TestOthersStay(t *testing.T) {
	for _, file := range corpus(t) {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			document, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			walk(document.root, nil, func(path []string, item *ast.ObjectItem) {
				switch value := item.Val.(type) {
				case *ast.LiteralType:
					edited(t, text, path, value)
				case *ast.ObjectType:
					added(t, text, append(path, "spire_config_test"))
				}
			})
		})
	}
}

func corpus(t *testing.T) []string {
	files := configurations(t, "testdata")
	for _, folder := range filepath.SplitList(os.Getenv("SPIRE_TEST_CONFIGS")) {
		files = append(files, readable(t, configurations(t, folder))...)
	}
	if tree := os.Getenv("SPIRE_TEST_TREE"); tree != "" {
		upstreams := readable(t, slices.Concat(configurations(t, tree+"/conf"), configurations(t, tree+"/test")))
		if len(upstreams) < 50 {
			t.Errorf("%d configurations in SPIRE's source, which has had more than a hundred", len(upstreams))
		}
		files = append(files, upstreams...)
	}
	return files
}

func configurations(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".conf" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readable are those that are HCL: others' programs have a .conf, too.
func readable(t *testing.T, files []string) []string {
	t.Helper()
	return slices.DeleteFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(text)
		return err != nil
	})
}

func walk(list *ast.ObjectList, above []string, visit func([]string, *ast.ObjectItem)) {
	seen := map[string]bool{}
	for _, item := range list.Items {
		path := append([]string{}, above...)
		for _, key := range item.Keys {
			path = append(path, Key(key))
		}
		// Of a name that is there twice, the first one is meant.
		if name := strings.ToLower(strings.Join(path, "\x00")); seen[name] {
			continue
		} else {
			seen[name] = true
		}
		visit(path, item)
		if block, ok := item.Val.(*ast.ObjectType); ok {
			walk(block.List, path, visit)
		}
	}
}

func edited(t *testing.T, text []byte, path []string, value *ast.LiteralType) {
	t.Helper()
	document, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Set("another value", path...); err != nil {
		t.Fatal(err)
	}
	before, after := bytes.Split(text, []byte("\n")), bytes.Split(document.Bytes(), []byte("\n"))
	if len(before) != len(after) && !strings.HasPrefix(value.Token.Text, "<<") {
		t.Fatalf("%v: %d lines became %d", path, len(before), len(after))
	}
	different := 0
	for i := range min(len(before), len(after)) {
		if !bytes.Equal(before[i], after[i]) {
			different++
		}
	}
	if different != 1 && !strings.HasPrefix(value.Token.Text, "<<") {
		t.Fatalf("%v: %d lines differ", path, different)
	}
}

func added(t *testing.T, text []byte, path []string) {
	t.Helper()
	document, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Set("added", path...); err != nil {
		t.Fatal(err)
	}
	var kept [][]byte
	for _, line := range bytes.Split(document.Bytes(), []byte("\n")) {
		if !bytes.Contains(line, []byte("spire_config_test")) {
			kept = append(kept, line)
		}
	}
	if got := bytes.Join(kept, []byte("\n")); !bytes.Equal(squeeze(got), squeeze(text)) {
		t.Fatalf("%v: more than a line was added:\n%s", path, cmp.Diff(string(text), string(got)))
	}
	if err := document.Remove(path...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(squeeze(document.Bytes()), squeeze(text)) {
		t.Fatalf("%v: adding and removing leaves something", path)
	}
}

// squeeze takes out white space: a block on one line becomes one of three.
func squeeze(text []byte) []byte { return bytes.Join(bytes.Fields(text), nil) }

func FuzzSet(f *testing.F) {
	files, err := filepath.Glob("testdata/*.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "agent.trust_domain", "example.org")
		f.Add(text, "plugins.NodeAttestor.join_token.plugin_data.x", "a \"b\"")
	}
	f.Add([]byte("a {\r\n b = <<EOF\r\nx\r\nEOF\r\n}\r\n"), "a.b", "c")
	// No regular expression has such a name in it.
	f.Add([]byte("Agent{}"), "\xff", "0")
	// A number that the parser makes longer by the end of its line.
	f.Add([]byte("A=1E"), "0", ":")
	f.Fuzz(func(t *testing.T, text []byte, dotted, value string) {
		document, err := Parse(text)
		if err != nil {
			return
		}
		if !bytes.Equal(document.Bytes(), text) {
			t.Fatal("reading changes the text")
		}
		before := values(document)
		path := strings.Split(dotted, ".")
		if document.Set(value, path...) != nil {
			if !bytes.Equal(document.Bytes(), text) {
				t.Fatal("an error changes the text")
			}
			return
		}
		others(t, before, values(document), path)
		again := document.Bytes()
		if err := document.Set(value, path...); err != nil || !bytes.Equal(document.Bytes(), again) {
			t.Fatalf("twice is not once: %v", err)
		}
	})
}

func values(document *Document) map[string]string {
	all := map[string]string{}
	walk(document.root, nil, func(path []string, item *ast.ObjectItem) {
		if literal, ok := item.Val.(*ast.LiteralType); ok {
			all[strings.Join(path, "\x00")] = literal.Token.Text
		}
	})
	return all
}

func others(t *testing.T, before, after map[string]string, path []string) {
	t.Helper()
	for name, value := range before {
		if !strings.EqualFold(name, strings.Join(path, "\x00")) && after[name] != value {
			t.Fatalf("%q was %q and is %q", name, value, after[name])
		}
	}
}
