// Package hosted plays the machines on which GitHub runs workflows: act runs the
// workflows' files, each job in a fresh container of a Debian 13 as the user runner
// with sudo and Docker, and small scripts stand in for the actions that the
// workflows use. What GitHub itself does with a workflow, it cannot show: see Lacks.
package hosted

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Act is the version of the program that runs workflows. It is run through the go
// command, which checks it like any module; the first run compiles it.
const Act = "github.com/nektos/act@v0.2.89"

// Lacks is what of GitHub's the stand-in has not.
var Lacks = []string{
	"machines of another architecture, and Ubuntu's own packages",
	"environments: who may deploy from where, and reviewers; every job could use every secret",
	"what a token may do, but for contents and issues; and tokens for attestations and pages",
	"concurrency, queues, schedules, time-outs, and a job that may fail (continue-on-error)",
	"jobs that run because another one failed in a workflow that was called: act stops there",
	"attestations that anybody could verify, limits and delays of artifacts, caches and pages",
	"a machine without anybody's cache: modules, and what is compiled on this machine, are found by each job",
}

//go:embed actions node.sh step.sh
var scripts embed.FS

// Where the jobs find what they share.
const (
	inside   = "/standin"
	storeDir = inside + "/store"
)

// Settings are what the stand-ins make of a job, and GitHub by its own means.
type Settings struct {
	Arch      string   // of the machine, in Go's words: there is no other one
	ReadToken string   // of the jobs that may not write
	Writers   []string // the jobs that may
	Secrets   []string // texts that no program but a target may see
}

// Machine plays the runners.
type Machine struct {
	Image    string // see NewImage
	Label    string // of the containers, by which a later run finds those of a killed one
	Place    string // folder with all that the jobs share; see Furnish
	Checkout string // folder that act runs in, at the same path as the jobs' own
	Dist     string // folder of what this machine has compiled, which jobs begin with
	Mounts   []string
	Log      io.Writer // gets a line for each job that has ended
	// Env, Variables and Matrix are NAME=VALUE, for all steps; of Secrets, which are
	// likewise, no command line has the values. Matrix narrows down.
	Env, Variables, Secrets, Matrix []string
}

// Store is a folder of what jobs leave: artifacts, caches, attested, site.
func (m Machine) Store(names ...string) string {
	return filepath.Join(append([]string{m.Place, "store"}, names...)...)
}

// Furnish fills the machine's place, which is empty: with the stand-ins, and with a
// repository to check out, a copy of the one in Checkout.
func (m Machine) Furnish(s Settings) error {
	// The jobs' user is nobody here; and what is mounted on a folder finds it there.
	for _, name := range []string{"store", "store/site", "store/canary", "store/artifacts", "tmp", "go", "modules", "dist", "proc"} {
		dir := filepath.Join(m.Place, name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o777)); err != nil {
			return err
		}
	}
	if err := os.CopyFS(filepath.Join(m.Place, "scripts"), scripts); err != nil {
		return fmt.Errorf("unpacking the stand-ins of actions: %w", err)
	}
	text := fmt.Sprintf("writers='%s'\nread_token=%s\narch=%s\n", strings.Join(s.Writers, " "), s.ReadToken, s.Arch)
	return errors.Join(
		os.Chmod(m.Place, 0o755),
		artifact.WriteBytes(filepath.Join(m.Place, "settings"), 0o644, []byte(text)),
		m.watch(s.Secrets))
}

// Workflow is one that is to run.
type Workflow struct {
	File   string // in .github/workflows
	Event  string // by which it begins, such as schedule
	Job    string // this one and those that it needs; empty means all
	Inputs []string
	Run    int
}

// uses is an action that a workflow uses, and not one of its own.
var uses = regexp.MustCompile(`(?m)\buses: *([A-Za-z0-9-]+/([A-Za-z0-9-]+)@[0-9a-f]{40})\b`)

// unknown is what act does not know of what GitHub does.
var unknown = regexp.MustCompile(`(?m)^ +queue: max\b.*\n`)

// calls is a job of a workflow that is another one of the checkout's.
var calls = regexp.MustCompile(`(?m)\buses: *\./\.github/workflows/([a-z-]+\.yml)\b`)

// reach reads a workflow's file, and those of all that it calls, into texts, by their paths.
func (m Machine) reach(file string, texts map[string]string) error {
	path := filepath.Join(m.Checkout, ".github", "workflows", file)
	if _, known := texts[path]; known {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading a workflow: %w", err)
	}
	texts[path] = string(content)
	for _, found := range calls.FindAllStringSubmatch(texts[path], -1) {
		err = errors.Join(err, m.reach(found[1], texts))
	}
	return err
}

// actions are act's arguments with the stand-ins of all actions that a workflow uses, or
// one that it calls. What act does not know is taken out of them.
func (m Machine) actions(file string) ([]string, error) {
	texts := map[string]string{}
	if err := m.reach(file, texts); err != nil {
		return nil, err
	}
	var args []string
	for path, text := range texts {
		for _, found := range uses.FindAllStringSubmatch(text, -1) {
			if _, err := fs.Stat(scripts, "actions/"+found[2]); err != nil {
				return nil, fmt.Errorf("%s uses %s, which has no stand-in: %w", filepath.Base(path), found[1], err)
			}
			args = append(args, "--local-repository="+found[1]+"="+filepath.Join(m.Place, "scripts", "actions", found[2]))
		}
		if err := artifact.WriteBytes(path, 0o644, unknown.ReplaceAll([]byte(text), nil)); err != nil {
			return nil, err
		}
	}
	slices.Sort(args)
	return slices.Compact(args), nil
}

// options are those of each job's container.
func (m Machine) options() string {
	// Its processes are this machine's, or what looks for containers of killed runs
	// would not see that this one lives.
	// The runners' users have namespaces of their own, in which roots are made and the C
	// compiler runs. The kernel gives them a /proc only beside one that hides nothing.
	words := []string{
		"--pid=host", "--label=" + m.Label,
		"--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
	}
	tmp := filepath.Join(m.Place, "tmp") // what containers of Docker's daemon mount has one path
	for _, mount := range append(m.Mounts,
		m.Place+":"+inside+":ro", m.Store()+":"+storeDir, m.Dist+":"+inside+"/dist:ro", tmp+":"+tmp, "/sys/fs/cgroup:/sys/fs/cgroup", "/proc:"+inside+"/proc") {
		words = append(words, "--volume="+mount)
	}
	return strings.Join(words, " ")
}

// arguments are act's.
func (m Machine) arguments(w Workflow) ([]string, error) {
	args, err := m.actions(w.File)
	if err != nil {
		return nil, err
	}
	args = append(args, w.Event, "--workflows=.github/workflows/"+w.File, "--json", "--rm",
		"--pull=false",
		"--network=host", "--no-skip-checkout", "--no-cache-server", "--container-options="+m.options())
	for _, one := range architecture.Native() {
		args = append(args, "--platform="+one.Runner+"="+m.Image)
	}
	if w.Job != "" {
		args = append(args, "--job="+w.Job)
	}
	env := append(slices.Clone(m.Env),
		"BASH_ENV="+inside+"/scripts/step.sh", "STANDIN="+inside, "STORE="+storeDir, "TMPDIR="+filepath.Join(m.Place, "tmp"),
		fmt.Sprintf("GITHUB_RUN_ID=%d", w.Run), "GITHUB_WORKFLOW_REF="+valueOf(m.Env, "GITHUB_REPOSITORY")+"/.github/workflows/"+w.File+"@refs/heads/main")
	for flag, values := range map[string][]string{"env": env, "var": m.Variables, "input": w.Inputs, "matrix": m.Matrix} {
		for _, value := range values {
			args = append(args, "--"+flag+"="+value)
		}
	}
	for _, secret := range m.Secrets {
		name, _, _ := strings.Cut(secret, "=")
		args = append(args, "--secret="+name)
	}
	return args, nil
}

// valueOf is the value of a variable.
func valueOf(env []string, variable string) string {
	for _, line := range env {
		if value, ok := strings.CutPrefix(line, variable+"="); ok {
			return value
		}
	}
	return ""
}

// Run runs a workflow to its end. That a job of it failed is no error.
func (m Machine) Run(ctx context.Context, w Workflow) (Ended, error) {
	args, err := m.arguments(w)
	if err != nil {
		return Ended{}, fmt.Errorf("running %s: %w", w.File, err)
	}
	return m.play(ctx, append([]string{"run", Act}, args...))
}
