package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// linter is the version of golangci-lint. It is run through the go command,
// which checks it like any module; the first run compiles it.
const linter = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// workflowLinter is the version of actionlint, run in the same way.
const workflowLinter = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

// workflows has actionlint read them. What this project asks of them beyond that
// is in the tests of this package.
func (s Suite) workflows(ctx context.Context, _ *Tally) error {
	files, err := filepath.Glob(filepath.Join(s.Root, ".github", "workflows", "*.yml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there are no workflows in .github/workflows")
	}
	// GitHub has the queue, and this version does not know it.
	return s.goCommand(ctx, append([]string{"run", workflowLinter, "-ignore", `^unexpected key "queue" for "concurrency" section`}, files...)...)
}

func (s Suite) vet(ctx context.Context, _ *Tally) error {
	return s.goCommand(ctx, "vet", "-tags=mage", "./...")
}

func (s Suite) lint(ctx context.Context, _ *Tally) error {
	fmt.Fprintln(s.Log, "compiling the linter takes some minutes the first time")
	return s.goCommand(ctx, slices.Concat([]string{"run"}, linterProgram, []string{"run", "--build-tags=mage", "./..."})...)
}

// linterProgram is the linter to `go run`. Nobody takes a debugger to it: without
// what one reads, it was measured to compile in a tenth less time. Go's own
// library stays as others use it.
var linterProgram = []string{"-gcflags=github.com/...=-dwarf=false", linter}

// Warm compiles the linter into the go command's cache, on one processor, until
// it is done or ctx ends. A failure is of no consequence: the check of that name
// does what is not done.
func (s Suite) Warm(ctx context.Context) {
	fmt.Fprintln(s.Log, "compiling the linter meanwhile, as far as that gets")
	_ = s.goCommand(ctx, slices.Concat([]string{"run", "-p=1"}, linterProgram, []string{"version"})...)
}

// command runs a program in the checkout; what it says goes into the error.
func (s Suite) command(ctx context.Context, name string, args ...string) error {
	return s.said(ctx, run.New(name, args...))
}

// goCommand runs the go command in the checkout, like command.
func (s Suite) goCommand(ctx context.Context, args ...string) error {
	return s.said(ctx, run.New("go", args...).WithEnv(gotool.Roomy()...))
}

func (s Suite) said(ctx context.Context, command run.Command) error {
	out, err := command.In(s.Root).Combined(ctx)
	var failed *run.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("%s: %w%s", failed.Line, failed.Err, indented(out))
	}
	return err
}

// event is a line of `go test -json` (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
	// ImportPath is what build-output is about, in place of Package, and
	// FailedBuild the same of a package that failed for it.
	ImportPath, FailedBuild string
	Elapsed                 float64
}

// unit runs the Go tests, with the given variables beside the environment's,
// and counts each one that has no parts, or each part.
func (s Suite) unit(ctx context.Context, tally *Tally, env ...string) error {
	reader, writer := io.Pipe()
	// Some make roots and boot containers, while others do the same. vet is a check
	// of its own, and nobody takes a debugger to programs that are thrown away.
	command := run.New("go", "test", "-json", "-timeout=30m", "-vet=off", "-ldflags=-s -w", "-tags=mage", "./...").In(s.Root).WithEnv(append(env, gotool.Roomy()...)...)
	command.Stdout = writer
	ended := make(chan error, 1)
	go func() {
		err := command.Run(ctx)
		ended <- errors.Join(err, writer.Close())
	}()
	results := newResults()
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var e event
		if json.Unmarshal(scanner.Bytes(), &e) == nil {
			results.add(e)
		}
	}
	_ = reader.Close() // where the scanner gave up, nobody else reads
	err := errors.Join(scanner.Err(), <-ended)
	results.count(tally)
	if err != nil && !results.failed {
		return fmt.Errorf("running the Go tests: %w", err)
	}
	return errCounted
}

// results gathers the events of a test run.
type results struct {
	order  []string          // keys in order of ending
	ended  map[string]event  // by package and test
	output map[string]string // what they said
	failed bool
}

func newResults() *results {
	return &results{ended: map[string]event{}, output: map[string]string{}}
}

func (r *results) add(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.output[key] += e.Output
	case "build-output":
		r.output[e.ImportPath] += e.Output
	case "pass", "fail", "skip":
		r.ended[key] = e
		r.order = append(r.order, key)
		r.failed = r.failed || e.Action == "fail"
	}
}

func (r *results) count(tally *Tally) {
	for _, key := range r.order {
		e := r.ended[key]
		if !r.leaf(key, e) {
			continue
		}
		took := time.Duration(e.Elapsed * float64(time.Second))
		switch e.Action {
		case "pass":
			tally.pass()
		case "skip":
			tally.Count(key, Skip{lastWords(r.output[key])}, took)
		case "fail":
			tally.Count(key, errors.New(indented(r.output[key]+r.output[e.FailedBuild])), took)
		}
	}
}

// leaf says whether a result counts: a test without parts that ended, or a
// test or package that failed although nothing in it did, such as a package
// that does not compile.
func (r *results) leaf(key string, e event) bool {
	parts, failed := false, false
	for other, o := range r.ended {
		inside := strings.HasPrefix(other, key+"/")
		if e.Test == "" {
			inside = o.Package == e.Package && o.Test != ""
		}
		parts = parts || inside
		failed = failed || inside && o.Action == "fail"
	}
	if e.Action == "fail" {
		return !failed
	}
	return e.Test != "" && !parts
}

// lastWords is the reason that a skipped test gave: its last line but the
// verdict.
func lastWords(output string) string {
	var last string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			last = line
		}
	}
	return last
}
