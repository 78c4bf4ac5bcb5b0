package hosted

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// of is a machine with a checkout that has a workflow a.yml, another one that it may call,
// and one that nobody calls.
func of(t *testing.T, workflow string) Machine {
	t.Helper()
	m := Machine{Image: "runner:1", Label: "owner=1.2", Place: t.TempDir(), Checkout: t.TempDir()}
	dir := filepath.Join(m.Checkout, ".github", "workflows")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a.yml": workflow,
		"b.yml": "concurrency:\n  queue: max\nuses: actions/attest@" + commit,
		"c.yml": "uses: actions/nobody@" + commit,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

const commit = "3d3c42e5aac5ba805825da76410c181273ba90b1"

// Each action has a stand-in, no secret is on the command line, and what act does not
// know is not in the file any more.
func TestArguments(t *testing.T) {
	m := of(t, "concurrency:\n  group: x\n  queue: max # nor forgotten\njobs:\n  - uses: actions/checkout@"+commit+" # v7\n  - uses: ./.github/workflows/b.yml\n")
	m.Secrets = []string{"KEY=a feather"}
	m.Env, m.Variables, m.Matrix = []string{"GITHUB_REPOSITORY=o/r"}, []string{"FLOOR=1.0.0"}, []string{"arch:amd64"}
	args, err := m.arguments(Workflow{File: "a.yml", Event: "schedule", Job: "plan", Inputs: []string{"first=true"}, Run: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"schedule", "--workflows=.github/workflows/a.yml", "--job=plan", "--secret=KEY", "--var=FLOOR=1.0.0", "--input=first=true", "--matrix=arch:amd64",
		"--env=GITHUB_RUN_ID=7", "--env=GITHUB_WORKFLOW_REF=o/r/.github/workflows/a.yml@refs/heads/main", "--platform=ubuntu-24.04=runner:1", "--platform=ubuntu-24.04-arm=runner:1",
		"--local-repository=actions/checkout@" + commit + "=" + filepath.Join(m.Place, "scripts", "actions", "checkout"),
		"--local-repository=actions/attest@" + commit + "=" + filepath.Join(m.Place, "scripts", "actions", "attest"), // b.yml's
	} {
		if !slices.Contains(args, want) {
			t.Errorf("%s is not one of %q", want, args)
		}
	}
	if strings.Contains(strings.Join(args, " "), "feather") {
		t.Errorf("a secret is on the command line: %q", args)
	}
	content, err := os.ReadFile(filepath.Join(m.Checkout, ".github", "workflows", "a.yml"))
	if err != nil || strings.Contains(string(content), "queue") || !strings.Contains(string(content), "  group: x\njobs:") {
		t.Errorf("the workflow is %q, %v", content, err)
	}
	content, err = os.ReadFile(filepath.Join(m.Checkout, ".github", "workflows", "b.yml"))
	if err != nil || strings.Contains(string(content), "queue") {
		t.Errorf("the workflow that it calls is %q, %v", content, err)
	}
}

func TestUnknownAction(t *testing.T) {
	_, err := of(t, "uses: actions/stale@"+commit).actions("a.yml")
	if err == nil || !strings.Contains(err.Error(), "a.yml uses actions/stale@"+commit+", which has no stand-in") {
		t.Errorf("the error is %v", err)
	}
}

// The jobs' user can write where jobs leave something, and nowhere else.
func TestFurnish(t *testing.T) {
	m := of(t, "")
	if err := m.Furnish(Settings{Arch: "amd64", ReadToken: "r", Writers: []string{"a", "b"}, Secrets: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		m.Store("artifacts"): 0o777, filepath.Join(m.Place, "tmp"): 0o777,
		filepath.Join(m.Place, "settings"): 0o644, filepath.Join(m.Place, "canary", "bin", "go"): 0o755, m.Place: 0o755,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, error %v; want %v", path, info, err, want)
		}
	}
	settings, err := os.ReadFile(filepath.Join(m.Place, "settings"))
	if want := "writers='a b'\nread_token=r\narch=amd64\n"; err != nil || string(settings) != want {
		t.Errorf("the settings are %q, %v", settings, err)
	}
}

// What act says becomes results, and the end of what a step said that failed.
func TestReading(t *testing.T) {
	var log strings.Builder
	r := newReading(&log)
	for _, text := range []string{
		`no JSON`,
		`{"job":"w/a  ","jobID":"a","msg":"begin","time":"2026-11-29T07:00:00Z"}`,
		`{"job":"w/a","jobID":"a","msg":"fine\n","raw_output":true,"step":"one","time":"2026-11-29T07:00:01Z"}`,
		`{"job":"w/a","jobID":"a","msg":"ok","stepResult":"success","step":"one","time":"2026-11-29T07:00:01Z"}`,
		`{"job":"w/a","jobID":"a","msg":"broken\n","raw_output":true,"step":"two","time":"2026-11-29T07:00:02Z"}`,
		`{"job":"w/a","jobID":"a","msg":"x","stepResult":"failure","step":"two","time":"2026-11-29T07:00:02Z"}`,
		`{"job":"w/a","jobID":"a","jobResult":"failure","msg":"end","time":"2026-11-29T07:00:03Z"}`,
		`{"job":"w/b-1","jobID":"b","jobResult":"success","msg":"end","time":"2026-11-29T07:00:04Z"}`,
		`{"job":"w/b-2   ","jobID":"b","jobResult":"failure","msg":"end","time":"2026-11-29T07:00:04Z"}`,
		`{"job":"w/b-3","jobID":"b","jobResult":"success","msg":"end","time":"2026-11-29T07:00:04Z"}`,
		`{"job":"w/c","jobID":"c","jobResult":"success","msg":"end","time":"2026-11-29T07:00:04Z"}`,
	} {
		r.read(text)
	}
	if diff := cmp.Diff(Job{"w/a", "a", "failure", 3 * time.Second}, r.Jobs[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"w/a: two:\nbroken"}, r.Broken); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"w/a", "w/b-2"}, r.Failed()); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[string]string{"a": "failure", "b": "failure", "c": "success", "d": ""} {
		if got := r.Job(id); got != want {
			t.Errorf("the job %s ended with %q, not %q", id, got, want)
		}
	}
	if !strings.Contains(log.String(), "w/b-2                                       0.0s  failure\n") {
		t.Errorf("the log is:\n%s", &log)
	}
	if said := r.said.String(); !strings.Contains(said, "[] no JSON\n") || !strings.Contains(said, "[w/a] broken\n") {
		t.Errorf("what was said is %q", said)
	}
}
