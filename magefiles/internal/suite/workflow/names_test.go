package workflow

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

// What the workflows name is there: targets, their flags, and variables.
func TestWorkflowNames(t *testing.T) {
	code, flags := goCode(t), targetFlags(t)
	workflows, err := loadWorkflows(suitetest.Root)
	if err != nil || len(workflows) == 0 {
		t.Fatalf("workflows %v, error %v", workflows, err)
	}
	for file, w := range workflows {
		for _, fault := range nameFaults(w, flags, code) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

// nameFaults are the names in a workflow that lead nowhere.
func nameFaults(w workflow, flags map[string][]string, code string) (faults []string) {
	faults = unread(code, w.Env)
	for _, j := range w.Jobs {
		faults = append(faults, unread(code, j.Env)...)
		for _, s := range j.Steps {
			faults = append(append(faults, unread(code, s.Env)...), unknown(s.Run, flags)...)
		}
	}
	slices.Sort(faults)
	return faults
}

// unread are the variables that no code reads.
func unread(code string, env map[string]string) (faults []string) {
	for name := range env {
		if strings.HasPrefix(name, "SPIRE_") && !strings.Contains(code, `"`+name+`"`) {
			faults = append(faults, "nothing reads "+name)
		}
	}
	return faults
}

// unknown are the targets and flags of a command line that do not exist.
func unknown(line string, flags map[string][]string) (faults []string) {
	var target string
	words := strings.TrimPrefix(strings.TrimPrefix(line, "go run magefile.go"), "exec dist/targets")
	for word := range strings.FieldsSeq(words) {
		if flag, ok := strings.CutPrefix(word, "-"); ok {
			if name, _, _ := strings.Cut(flag, "="); !slices.Contains(flags[target], name) {
				faults = append(faults, fmt.Sprintf("%s has no flag -%s", target, name))
			}
			continue
		}
		if target = word; flags[target] == nil {
			faults = append(faults, "no target "+target)
		}
	}
	return faults
}

var targetLine = regexp.MustCompile(`(?m)^  ([a-z:]+) `)

// targetFlags are all targets, as Mage lists them, and the flags of each.
func targetFlags(t *testing.T) map[string][]string {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(suitetest.Root, "magefiles", "testdata", "targets.golden"))
	if err != nil {
		t.Fatal(err)
	}
	declared, flags := declarations(t), map[string][]string{"": {"compile"}} // Mage's own
	for _, found := range targetLine.FindAllStringSubmatch(string(list), -1) {
		flags[found[1]] = []string{}
		for _, parameter := range declared[found[1]] {
			flags[found[1]] = append(flags[found[1]], strings.ToLower(parameter))
		}
	}
	for _, found := range alias.FindAllStringSubmatch(aliases.FindString(goCode(t)), -1) {
		flags[found[1]] = flags[strings.ToLower(found[2]+":"+found[3])]
	}
	return flags
}

// The shorter names of targets, which Mage does not list.
var (
	aliases = regexp.MustCompile(`(?m)^var Aliases = .*`)
	alias   = regexp.MustCompile(`"([a-z]+)": ([A-Z][a-z]+)\.([A-Z][a-z]+)`)
)

// declarations are the parameters that may be left out, which are flags, of the
// functions of the targets' files, by the names that Mage gives them.
func declarations(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(suitetest.Root, "magefiles", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Name.IsExported() {
				found[targetName(function)] = optional(function)
			}
		}
	}
	return found
}

func targetName(function *ast.FuncDecl) string {
	name := function.Name.Name
	if function.Recv != nil {
		if of, ok := function.Recv.List[0].Type.(*ast.Ident); ok {
			name = of.Name + ":" + name
		}
	}
	return strings.ToLower(name)
}

func optional(function *ast.FuncDecl) (names []string) {
	for _, field := range function.Type.Params.List {
		if _, ok := field.Type.(*ast.StarExpr); ok {
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// goCode is the text of all that is no test.
func goCode(t *testing.T) string {
	t.Helper()
	var code strings.Builder
	err := filepath.WalkDir(filepath.Join(suitetest.Root, "magefiles"), func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return err
		}
		content, err := os.ReadFile(file)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return code.String()
}
