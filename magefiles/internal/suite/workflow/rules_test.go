package workflow

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

var (
	pinnedAction = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+@[0-9a-f]{40}$`)
	localCall    = regexp.MustCompile(`^\./\.github/workflows/[a-z-]+\.yml$`)
	targetCall   = regexp.MustCompile(`^go run magefile\.go( -?[A-Za-z0-9:=,._/-]+)+$`)
	// exec: a shell that waited would have the secret in its environment.
	secretCall = regexp.MustCompile(`^exec dist/targets [a-z]+(:[a-z]+)?( -[A-Za-z0-9:=,._/-]+)*$`)
	secretUse  = regexp.MustCompile(`\bsecrets\b`)
	// hidden is what no program but the target gets to see.
	hidden = regexp.MustCompile(`\b(secrets|github\.token)\b`)
)

// workflowFaults are the ways in which a workflow does more than call targets,
// or trusts what it should not: what neither actionlint says nor a run of it shows.
func workflowFaults(content []byte) []string {
	var root yaml.Node
	if err := yaml.Unmarshal(content, &root); err != nil || len(root.Content) != 1 {
		return []string{fmt.Sprintf("it is no YAML document: %v", err)}
	}
	var faults []string
	if permissions := child(root.Content[0], "permissions"); permissions == nil || permissions.Kind != yaml.MappingNode || len(permissions.Content) > 0 {
		faults = append(faults, "the top level does not say permissions: {}")
	}
	if hidden.MatchString(written(child(root.Content[0], "env"))) {
		faults = append(faults, "every step of every job gets a secret")
	}
	if queue := child(root.Content[0], "concurrency"); queue != nil && valueOf(queue, "cancel-in-progress") != "true" && valueOf(queue, "queue") != "max" {
		faults = append(faults, "a third run takes the place of the second, which waits: queue is not max")
	}
	faults = append(faults, nodeFaults(&root)...)
	strangers := strings.Contains(written(child(root.Content[0], "on")), "pull_request")
	jobs := child(root.Content[0], "jobs")
	if strings.Contains(written(child(root.Content[0], "on")), "schedule") && !strings.Contains(written(jobs), "exec dist/targets failure:report") {
		faults = append(faults, "its schedule ends after 60 days without a commit: no job runs failure:report")
	}
	for i := 0; jobs != nil && i+1 < len(jobs.Content); i += 2 {
		faults = append(faults, unheard(jobs, i)...)
		all := slices.Concat(jobFaults(jobs.Content[i+1], strangers), cacheFaults(jobs.Content[i+1], child(root.Content[0], "permissions")))
		for _, fault := range all {
			faults = append(faults, fmt.Sprintf("job %s: %s", jobs.Content[i].Value, fault))
		}
	}
	return faults
}

// unheard are the jobs whose failures open no issue: the job of failure:report, if that is
// the one with the number, does not wait for them.
func unheard(jobs *yaml.Node, number int) (faults []string) {
	job := jobs.Content[number+1]
	if !strings.Contains(written(child(job, "steps")), "exec dist/targets failure:report") {
		return nil
	}
	heard := strings.Fields(written(child(job, "needs")))
	for i := 0; i < len(jobs.Content); i += 2 {
		if name := jobs.Content[i].Value; i != number && !slices.Contains(heard, name) {
			faults = append(faults, "no issue tells of the job "+name+": failure-report does not need it")
		}
	}
	return faults
}

// jobFaults are what is wrong with a job as a whole; strangers is true where what
// they sent may be what it runs.
func jobFaults(job *yaml.Node, strangers bool) (faults []string) {
	fault := func(is bool, what string) {
		if is {
			faults = append(faults, what)
		}
	}
	permissions, steps := child(job, "permissions"), child(job, "steps")
	secret := secretUse.MatchString(written(steps)) || secretUse.MatchString(written(child(job, "env")))
	fault(permissions == nil || permissions.Kind != yaml.MappingNode, "it does not say its permissions")
	fault(hidden.MatchString(written(child(job, "env"))), "every step of it gets a secret")
	fault(steps != nil && child(job, "timeout-minutes") == nil, "it may run for hours: no timeout-minutes")
	fault(secret && !isProtected(environment(job)), "secrets outside of the protected environment")
	fault(strangers && (secretUse.MatchString(written(job)) || environment(job) != ""), "strangers get at secrets")
	fault(strangers && strings.Contains(written(permissions), "write"), "strangers may write")
	inherited := child(job, "secrets")
	fault(inherited != nil && (inherited.Value != "inherit" || !localCall.MatchString(valueOf(job, "uses"))), "secrets go to another's workflow, or are this workflow's own")
	fault(strings.Contains(written(child(job, "strategy")), "needs.places.outputs.matrix") && valueOf(job, "continue-on-error") != "${{ matrix.tier == 'informing' }}",
		"a row that only informs stops the release, or one that blocks does not")
	fault(strings.Contains(written(child(job, "strategy")), "needs.places.outputs.") && !strings.Contains(written(child(job, "strategy")), ".machines") && !strings.Contains(written(steps), "SPIRE_ARCH ${{ matrix.arch }}"),
		"it is there for each architecture, and takes the machine's own")
	asked := false
	for i := 0; steps != nil && i < len(steps.Content); i++ {
		call := valueOf(steps.Content[i], "run")
		asked = asked || strings.Contains(call, " test:ran ")
		fault(strings.HasPrefix(call, "exec dist/targets sign") && !asked, "it signs, and nobody has asked whether the tests ran")
		faults = append(faults, stepFaults(steps.Content[i])...)
	}
	return faults
}

// cacheFaults are the caches of a job that has a key or may write: Go's has what jobs left
// in which upstream's code and compilers run. A job that does not say its permissions has
// those of its workflow.
func cacheFaults(job, workflows *yaml.Node) (faults []string) {
	permissions, steps := child(job, "permissions"), child(job, "steps")
	if permissions == nil {
		permissions = workflows
	}
	if !isProtected(environment(job)) && !strings.Contains(written(permissions), "write") {
		return nil
	}
	for i := 0; steps != nil && i < len(steps.Content); i++ {
		action, with := strings.Split(valueOf(steps.Content[i], "uses"), "@")[0], child(steps.Content[i], "with")
		if action == "actions/cache" || strings.HasPrefix(action, "actions/cache/") || (action == "actions/setup-go" && valueOf(with, "cache") != "false") {
			faults = append(faults, "what any job may have put into a cache runs where the key is, or where it may write")
		}
	}
	return faults
}

// stepFaults are what is wrong with a step.
func stepFaults(step *yaml.Node) (faults []string) {
	action, with := strings.Split(valueOf(step, "uses"), "@")[0], child(step, "with")
	call, secret := valueOf(step, "run"), hidden.MatchString(written(child(step, "env")))
	if call != "" && secret && !secretCall.MatchString(call) {
		faults = append(faults, "beside a secret there is more than one compiled target: "+call)
	}
	if call != "" && !secret && secretCall.MatchString(call) {
		faults = append(faults, "a compiled target without a secret: "+call)
	}
	if action == "actions/checkout" && valueOf(with, "persist-credentials") != "false" {
		faults = append(faults, "the token stays in the checkout: persist-credentials is not false")
	}
	return faults
}

// isProtected says whether an environment has a key: that of the packages, or that of
// the indexes.
func isProtected(environment string) bool {
	return environment == "release" || environment == "publish"
}

// environment is the name of a job's environment.
func environment(job *yaml.Node) string {
	if node := child(job, "environment"); node != nil && node.Kind == yaml.MappingNode {
		return valueOf(node, "name")
	}
	return valueOf(job, "environment")
}

func valueOf(mapping *yaml.Node, key string) string {
	if node := child(mapping, key); node != nil {
		return node.Value
	}
	return ""
}

// written is a node as text, without its comments.
func written(node *yaml.Node) string {
	if node == nil {
		return ""
	}
	text := node.Value
	for _, n := range node.Content {
		text += " " + written(n)
	}
	return text
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil {
		return nil
	}
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
				if !pinnedAction.MatchString(value.Value) && !localCall.MatchString(value.Value) {
					fault(value, "an action that is not pinned to a commit")
				}
			case "run":
				if strings.Contains(value.Value, "${{") {
					fault(value, "an expression becomes part of a script")
				}
				if !targetCall.MatchString(value.Value) && !secretCall.MatchString(value.Value) {
					fault(value, "more than a call of targets")
				}
			}
		}
		faults = append(faults, nodeFaults(n)...)
	}
	return faults
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(suitetest.Root, ".github", "workflows", "*"))
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

// The digests that a machine vouches for are an output of the job by the name of its
// architecture. Nothing but such names can be declared, and all those of a release
// have to be.
func TestVouchedOutputs(t *testing.T) {
	workflows, err := loadWorkflows(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	outputs := workflows[filepath.Join(suitetest.Root, ".github", "workflows", "version.yml")].Jobs["vouch"].Outputs
	for _, arch := range architecture.Names(architecture.All()) {
		if outputs[arch] == "" {
			t.Errorf("version.yml, job vouch: no output has the digests that a machine of %s finds", arch)
		}
	}
	for name, value := range outputs {
		if want := "${{ steps.vouch.outputs." + name + " }}"; value != want {
			t.Errorf("version.yml, job vouch: the output %s is %q, not %q", name, value, want)
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
    timeout-minutes: 5
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with: {persist-credentials: false}
      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0
      - run: go run magefile.go setup build -arch=amd64,arm64 test:all -results=dist/results
`
	const guarded = `on: [workflow_call]
permissions: {}
concurrency: {group: release, queue: max}
jobs:
  test:
    permissions: {}
    timeout-minutes: 5
    strategy: {matrix: "${{ fromJSON(needs.places.outputs.matrix) }}"}
    continue-on-error: ${{ matrix.tier == 'informing' }}
    steps:
      - run: go run magefile.go test:distros
        env: {SPIRE_ARCH: "${{ matrix.arch }}"}
  sign:
    permissions: {contents: write}
    environment: release
    timeout-minutes: 5
    steps:
      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0
        with: {cache: false}
      - run: go run magefile.go test:ran -results=dist/results
      - run: go run magefile.go setup
      - run: go run magefile.go -compile=../dist/targets
      - run: exec dist/targets sign -arch=amd64
        env: {SPIRE_SIGN_SECRET: "${{ secrets.SPIRE_SIGN_SECRET }}"}
  publish:
    permissions: {pages: write}
    uses: ./.github/workflows/publish.yml
    secrets: inherit
  failure-report:
    needs: [test, sign, publish]
    permissions: {issues: write}
    timeout-minutes: 5
    steps:
      - run: exec dist/targets failure:report
        env: {GITHUB_TOKEN: "${{ github.token }}"}
`
	const scheduled = `on: {schedule: [{cron: 1 1 * * *}]}
permissions: {}
jobs:
  failure-report:
    permissions: {issues: write}
    timeout-minutes: 5
    steps:
      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0
        with: {cache: false}
      - run: exec dist/targets failure:report
        env: {GITHUB_TOKEN: "${{ github.token }}"}
`
	const inherits = `permissions: {issues: write}
jobs:
  failure-report:
    timeout-minutes: 5
    steps:
      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0
`
	type change struct{ from, to, want string }
	for workflow, changes := range map[string]map[string]change{
		good: {
			"tag":                   {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "not pinned"},
			"short commit":          {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "@3d3c42e", "not pinned"},
			"no version":            {"@3d3c42e5aac5ba805825da76410c181273ba90b1", "", "not pinned"},
			"local action":          {"actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1", "./.github/x", "not pinned"},
			"reusable workflow":     {"runs-on: ${{ matrix.runner }}", "uses: o/r/.github/workflows/x.yml@main", "not pinned"},
			"no permissions":        {"permissions: {}\n", "", "permissions"},
			"permissions left open": {"permissions: {}\n", "permissions:\n", "permissions"},
			"read permissions":      {"permissions: {}\n", "permissions: read-all\n", "permissions"},
			"some permissions":      {"permissions: {}\n", "permissions: {contents: read}\n", "permissions"},
			"a job's permissions":   {"    permissions: {contents: read}\n", "", "does not say its permissions"},
			"all permissions":       {"permissions: {contents: read}", "permissions: write-all", "does not say its permissions"},
			"strangers who write":   {"permissions: {contents: read}", "permissions: {contents: write}", "strangers may write"},
			"strangers and secrets": {"matrix.runner", "secrets.RUNNER", "strangers get at secrets"},
			"strangers inside":      {"timeout-minutes: 5", "timeout-minutes: 5\n    environment: release", "strangers get at secrets"},
			"no end":                {"    timeout-minutes: 5\n", "", "no timeout-minutes"},
			"token stays":           {"persist-credentials: false", "fetch-depth: 0", "persist-credentials"},
			"expression":            {"-arch=amd64,arm64", "-arch=${{ github.head_ref }}", "becomes part of a script"},
			"another command":       {"go run magefile.go setup", "make setup", "more than a call"},
			"two commands":          {"test:all", "test:all && id", "more than a call"},
			"two lines":             {"run: go run magefile.go setup", "run: |\n          id\n          go run magefile.go setup", "more than a call"},
			"substitution":          {"test:all", "$(id)", "more than a call"},
			"no target":             {" setup build -arch=amd64,arm64 test:all -results=dist/results", "", "more than a call"},
			"strangers":             {"on: [pull_request]", "on: [pull_request_target]", "strangers"},
			"strangers, a mapping":  {"on: [pull_request]", "on: {pull_request_target: {branches: [main]}}", "strangers"},
			"no YAML":               {"on: [", "on: [[", "no YAML"},
		},
		scheduled: {
			"a schedule that ends":         {"targets failure:report", "targets plan", "ends after 60 days"},
			"a writer's cached tools":      {"cache: false", "cache: true", "into a cache"},
			"a writer's, by default":       {"        with: {cache: false}\n", "", "into a cache"},
			"a writer's cache":             {"actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e", "actions/cache/restore@55cc8345863c7cc4c66a329aec7e433d2d1c52a9", "into a cache"},
			"one who may write everything": {"    permissions: {issues: write}\n    timeout-minutes: 5\n    steps:\n      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0\n        with: {cache: false}\n", "    permissions: write-all\n    timeout-minutes: 5\n    steps:\n      - uses: actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e # v7.0.0\n", "into a cache"},
			"an heir":                      {scheduled[strings.Index(scheduled, "permissions: {}"):strings.Index(scheduled, "      - run:")], inherits, "into a cache"},
		},
		guarded: {
			"a run forgotten":      {", queue: max", "", "takes the place of the second"},
			"a job unheard":        {"[test, sign, publish]", "[test, sign]", "tells of the job publish"},
			"jobs unheard":         {"    needs: [test, sign, publish]\n", "", "tells of the job test"},
			"nobody asked":         {"      - run: go run magefile.go test:ran -results=dist/results\n", "", "whether the tests ran"},
			"informing blocks":     {"    continue-on-error: ${{ matrix.tier == 'informing' }}\n", "", "only informs"},
			"blocking does not":    {"${{ matrix.tier == 'informing' }}", "true", "one that blocks does not"},
			"no architecture":      {"        env: {SPIRE_ARCH: \"${{ matrix.arch }}\"}\n", "", "takes the machine's own"},
			"no environment":       {"    environment: release\n", "", "outside of the protected environment"},
			"another environment":  {"environment: release", "environment: {name: github-pages}", "outside of the protected environment"},
			"a job's secret":       {"timeout-minutes: 5", "timeout-minutes: 5\n    env: {TOKEN: \"${{ github.token }}\"}", "every step of it gets a secret"},
			"everybody's secret":   {"permissions: {}", "env: {TOKEN: \"${{ github.token }}\"}\npermissions: {}", "every step of every job gets a secret"},
			"setup beside it":      {"exec dist/targets sign", "exec dist/targets setup sign", "more than one compiled target"},
			"compiled beside it":   {"exec dist/targets sign", "go run magefile.go sign", "more than one compiled target"},
			"a shell beside it":    {"exec dist/targets sign", "dist/targets sign", "more than a call"},
			"a token beside more":  {"run: go run magefile.go setup", "run: go run magefile.go setup\n        env: {GITHUB_TOKEN: \"${{ github.token }}\"}", "more than one compiled target"},
			"compiled for nothing": {"        env: {SPIRE_SIGN_SECRET: \"${{ secrets.SPIRE_SIGN_SECRET }}\"}\n", "", "without a secret"},
			"cached tools":         {"cache: false", "cache: true", "into a cache"},
			"cached by default":    {"{cache: false}", "{go-version: stable}", "into a cache"},
			"a cache":              {"actions/setup-go@b7ad1dad31e06c5925ef5d2fc7ad053ef454303e", "actions/cache@55cc8345863c7cc4c66a329aec7e433d2d1c52a9", "into a cache"},
			"another's workflow":   {"./.github/workflows/publish.yml", "o/r/.github/workflows/x.yml@3d3c42e5aac5ba805825da76410c181273ba90b1", "another's workflow"},
			"its own secrets":      {"secrets: inherit", "secrets: {KEY: x}", "this workflow's own"},
		},
	} {
		if faults := workflowFaults([]byte(workflow)); len(faults) > 0 {
			t.Errorf("a good workflow has %q", faults)
		}
		for name, c := range changes {
			if !strings.Contains(workflow, c.from) {
				t.Fatalf("%s: no %q", name, c.from)
			}
			faults := strings.Join(workflowFaults([]byte(strings.Replace(workflow, c.from, c.to, 1))), "\n")
			if !strings.Contains(faults, c.want) {
				t.Errorf("%s: faults %q, want %q", name, faults, c.want)
			}
		}
	}
}
