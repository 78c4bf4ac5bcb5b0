package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// workflow is a workflow's file. What is not in here is not known to the runner
// below, and an error.
type workflow struct {
	Name                     string
	On                       triggers
	Permissions, Concurrency any
	Env                      map[string]string
	Jobs                     map[string]job
}

// triggers have the inputs that the workflow takes from another one.
type triggers struct {
	Call struct {
		Inputs map[string]struct {
			Type, Description string
			Required          bool
		}
	} `yaml:"workflow_call"`
	Others map[string]any `yaml:",inline"`
}

// job is one that has steps, or calls a workflow.
type job struct {
	Needs                           words
	Name, If, Uses                  string
	With, Permissions, Outputs, Env map[string]string
	Steps                           []step
	Strategy, Secrets, Environment  any
	Runner                          any `yaml:"runs-on"`
	Minutes                         int `yaml:"timeout-minutes"`
	GoesOn                          any `yaml:"continue-on-error"`
}

// step runs targets, or an action.
type step struct {
	ID, Name, If, Uses, Run string
	With, Env               map[string]string
}

// words are one word, or a list.
type words []string

// UnmarshalYAML reads either.
func (w *words) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*w = words{node.Value}
		return nil
	}
	return node.Decode((*[]string)(w))
}

func workflowFile(name string) string { return filepath.Join(checkout, ".github", "workflows", name) }

func loadWorkflow(file string) (w workflow, err error) {
	content, err := os.Open(file)
	if err != nil {
		return w, err
	}
	defer content.Close()
	decoder := yaml.NewDecoder(content)
	decoder.KnownFields(true)
	if err := decoder.Decode(&w); err != nil {
		return w, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

// runner runs jobs, as a runner of GitHub's does: each step with the words of the
// workflow's file. Actions are not run; what they take has to be there, and what
// they bring is put there.
type runner struct {
	testing.TB
	root      string            // the checkout
	machine   []string          // environment of all steps
	last      []string          // what is put over a step's own environment
	values    map[string]string // of expressions
	artifacts map[string]string // folders that earlier jobs have uploaded, by name
	needs     map[string]ended
}

// ended is a job that has, as in GitHub's needs context.
type ended struct {
	Result  string            `json:"result"`
	Outputs map[string]string `json:"outputs"`
}

// job runs the steps of a job, and gives its outputs.
func (r *runner) job(file, name string, inputs map[string]string) map[string]string {
	r.Helper()
	w, j := r.find(file, name)
	s := &steps{runner: r, where: file + ", job " + name, values: maps.Clone(r.values)}
	maps.Copy(s.values, inputs)
	s.context(j)
	for _, one := range j.Steps {
		switch {
		case one.If != "" && !s.holds(one.If):
		case one.Run == "":
			s.action(one)
		default:
			s.run(one, w.Env, j.Env, one.Env)
		}
	}
	outputs := s.all(j.Outputs)
	r.needs[name] = ended{"success", outputs}
	return outputs
}

// call gives the inputs of the workflow that a job calls.
func (r *runner) call(file, name string) map[string]string {
	r.Helper()
	_, j := r.find(file, name)
	called, err := loadWorkflow(filepath.Join(checkout, j.Uses))
	if err != nil {
		r.Fatal(err)
	}
	inputs := map[string]string{}
	for input, declared := range called.On.Call.Inputs {
		inputs["inputs."+input] = map[string]string{"boolean": "false"}[declared.Type]
	}
	s := &steps{runner: r, where: file + ", job " + name, values: r.values}
	for input, value := range s.all(j.With) {
		inputs["inputs."+input] = value
	}
	return inputs
}

func (r *runner) find(file, name string) (workflow, job) {
	r.Helper()
	w, err := loadWorkflow(workflowFile(file))
	if err != nil {
		r.Fatal(err)
	}
	j, ok := w.Jobs[name]
	if !ok {
		r.Fatalf("%s has no job %s", file, name)
	}
	return w, j
}

// steps are those of one job, while they run.
type steps struct {
	*runner
	where  string
	values map[string]string
}

// context is what expressions of the job find beside what is known everywhere.
func (s *steps) context(j job) {
	s.values["github.token"] = hubtest.ReadToken
	if j.Permissions["contents"] == "write" || j.Permissions["issues"] == "write" {
		s.values["github.token"] = hubtest.Token
	}
	own := map[string]ended{}
	for _, name := range j.Needs {
		one, ok := s.needs[name]
		if !ok {
			continue // of other machines: an expression that asks for it is not known
		}
		own[name] = one
		for output, value := range one.Outputs {
			s.values["needs."+name+".outputs."+output] = value
		}
		s.values["toJSON(needs."+name+".outputs)"] = asJSON(one.Outputs)
	}
	s.values["toJSON(needs)"] = asJSON(own)
}

func asJSON(value any) string {
	content, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings always can be
	}
	return string(content)
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// value is a text with its expressions replaced by what they stand for.
func (s *steps) value(text string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		value, ok := s.values[name]
		if !ok {
			s.Fatalf("%s: the test does not know what the expression %q stands for", s.where, name)
		}
		return value
	})
}

func (s *steps) all(texts map[string]string) map[string]string {
	values := map[string]string{}
	for name, text := range texts {
		values[name] = s.value(text)
	}
	return values
}

var comparison = regexp.MustCompile(`^([a-z.-]+) == '([a-z]*)'$`)

// holds decides the one kind of condition that the steps have.
func (s *steps) holds(condition string) bool {
	parts := comparison.FindStringSubmatch(condition)
	if parts == nil {
		s.Fatalf("%s: the test does not know when %q holds", s.where, condition)
	}
	return s.value("${{ "+parts[1]+" }}") == parts[2]
}

// run runs a step's targets in the environments of workflow, job and step.
func (s *steps) run(one step, environments ...map[string]string) {
	dir := s.TempDir()
	output := filepath.Join(dir, "output")
	command := run.New("sh", "-e", "-c", one.Run).In(s.root)
	command.Env = s.machine
	for _, variables := range environments { // the closest is the last, which wins
		for name, value := range s.all(variables) {
			command = command.WithEnv(name + "=" + value)
		}
	}
	command = command.WithEnv("GITHUB_OUTPUT="+output, "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary")).WithEnv(s.last...)
	said, err := command.Combined(s.Context())
	if err != nil {
		s.Fatalf("%s: %s: %v%s", s.where, one.Run, errors.Unwrap(err), indented(said))
	}
	s.Logf("%s: %s%s", s.where, one.Run, indented(said))
	s.outputs(one.ID, output)
}

// outputs takes in what a step wrote for the others.
func (s *steps) outputs(id, file string) {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it need not write any
		s.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		s.values["steps."+id+".outputs."+name] = value
	}
}

// action does what an action would, as far as the steps behind it can see.
func (s *steps) action(one step) {
	with := s.all(one.With)
	switch name, _, _ := strings.Cut(one.Uses, "@"); name {
	case "actions/checkout", "actions/setup-go": // both are here
	case "actions/download-artifact":
		s.download(with)
	case "actions/attest":
		s.there(name, with["subject-checksums"])
	case "actions/upload-pages-artifact":
		s.there(name, with["path"])
	default:
		s.Fatalf("%s: the test does not know what %s does", s.where, one.Uses)
	}
}

func (s *steps) there(action, name string) {
	if _, err := os.Stat(filepath.Join(s.root, name)); name == "" || err != nil {
		s.Fatalf("%s: %s is given %q, which is not there: %v", s.where, action, name, err)
	}
}

// download puts each artifact that a pattern matches into a folder of its own,
// but a single one, as the action does, into the given folder itself.
func (s *steps) download(with map[string]string) {
	names := slices.Collect(maps.Keys(s.artifacts))
	names = slices.DeleteFunc(names, func(name string) bool {
		ok, err := path.Match(with["pattern"], name)
		return err != nil || !ok
	})
	if len(names) == 0 {
		s.Fatalf("%s: no artifact is called %s", s.where, with["pattern"])
	}
	for _, name := range names {
		to := filepath.Join(s.root, with["path"])
		if len(names) > 1 && with["merge-multiple"] != "true" {
			to = filepath.Join(to, name)
		}
		if err := os.CopyFS(to, os.DirFS(s.artifacts[name])); err != nil {
			s.Fatal(err)
		}
	}
}
