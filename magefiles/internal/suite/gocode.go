package suite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// linter is the version of golangci-lint. It is run through the go command,
// which checks it like any module; the first run compiles it.
const linter = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// workflowLinter is the version of actionlint, run in the same way.
const workflowLinter = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

// workflows has actionlint read them. What this project asks of them beyond that
// is in the tests of this package.
func (s Suite) workflows(ctx context.Context, _ *tally.Tally) error {
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

func (s Suite) vet(ctx context.Context, _ *tally.Tally) error {
	return s.goCommand(ctx, "vet", "-tags=mage", "./...")
}

func (s Suite) lint(ctx context.Context, _ *tally.Tally) error {
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
		return fmt.Errorf("%s: %w%s", failed.Line, failed.Err, tally.Indented(out))
	}
	return err
}
