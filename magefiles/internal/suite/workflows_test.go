package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	pinnedAction = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+@[0-9a-f]{40}$`)
	targetCall   = regexp.MustCompile(`^go run magefile\.go( -?[A-Za-z0-9:=,._-]+)+$`)
)

// workflowFaults are the ways in which a workflow does more than call targets,
// or trusts what it should not.
func workflowFaults(content []byte) []string {
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil || len(root.Content) != 1 {
		return []string{fmt.Sprintf("it is no YAML document: %v", err)}
	}
	var faults []string
	if permissions := child(root.Content[0], "permissions"); permissions == nil || permissions.Kind != yaml.MappingNode || len(permissions.Content) > 0 {
		faults = append(faults, "the top level does not say permissions: {}")
	}
	return append(faults, nodeFaults(&root)...)
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func nodeFaults(node *yaml.Node) []string {
	var faults []string
	fault := func(n *yaml.Node, what string) {
		faults = append(faults, fmt.Sprintf("line %d: %s: %q", n.Line, what, n.Value))
	}
	if node.Value == "pull_request_target" {
		fault(node, "it runs what strangers sent, with secrets")
	}
	for i, n := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			switch value := node.Content[i+1]; n.Value {
			case "uses":
				if !pinnedAction.MatchString(value.Value) {
					fault(value, "an action that is not pinned to a commit")
				}
			case "run":
				if strings.Contains(value.Value, "${{") {
					fault(value, "an expression becomes part of a script")
				}
				if !targetCall.MatchString(value.Value) {
					fault(value, "more than a call of targets")
				}
			}
		}
		faults = append(faults, nodeFaults(n)...)
	}
	return faults
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(checkout, ".github", "workflows", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("workflows %v, error %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) != ".yml" {
			t.Errorf("%s: a workflow's name ends with .yml here", file)
		}
		for _, fault := range workflowFaults(content) {
			t.Errorf("%s: %s", file, fault)
		}
	}
}

func TestWorkflowFaults(t *testing.T) {
	const good = `on: [pull_request]
permissions: {}
jobs:
  test:
    permissions: {contents: read}
    runs-on: ${{ matrix.runner }}
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
      - run: go run magefile.go setup build -arch=amd64,arm64 test:all
`
	if faults := workflowFaults([]byte(good)); len(faults) > 0 {
		t.Fatalf("a good workflow has %q", faults)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"tag":                   {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "not pinned"},
		"short commit":          {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "@3d3c42e", "not pinned"},
		"no version":            {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "", "not pinned"},
		"local action":          {"actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "./.github/x", "not pinned"},
		"reusable workflow":     {"runs-on: ${{ matrix.runner }}", "uses: o/r/.github/workflows/x.yml@main", "not pinned"},
		"no permissions":        {"permissions: {}\n", "", "permissions"},
		"permissions left open": {"permissions: {}\n", "permissions:\n", "permissions"},
		"read permissions":      {"permissions: {}\n", "permissions: read-all\n", "permissions"},
		"some permissions":      {"permissions: {}\n", "permissions: {contents: read}\n", "permissions"},
		"expression":            {"-arch=amd64,arm64", "-arch=${{ github.head_ref }}", "becomes part of a script"},
		"another command":       {"go run magefile.go setup", "make setup", "more than a call"},
		"two commands":          {"test:all", "test:all && id", "more than a call"},
		"two lines":             {"run: go run magefile.go setup", "run: |\n          id\n          go run magefile.go setup", "more than a call"},
		"substitution":          {"test:all", "$(id)", "more than a call"},
		"no target":             {" setup build -arch=amd64,arm64 test:all", "", "more than a call"},
		"strangers":             {"on: [pull_request]", "on: [pull_request_target]", "strangers"},
		"strangers, a mapping":  {"on: [pull_request]", "on: {pull_request_target: {branches: [main]}}", "strangers"},
		"no YAML":               {"on: [", "on: [[", "no YAML"},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%s: no %q", name, c.from)
		}
		faults := strings.Join(workflowFaults([]byte(strings.Replace(good, c.from, c.to, 1))), "\n")
		if !strings.Contains(faults, c.want) {
			t.Errorf("%s: faults %q, want %q", name, faults, c.want)
		}
	}
}
