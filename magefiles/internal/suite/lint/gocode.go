package lint

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// linter is the version of golangci-lint. It is run through the go command,
// which checks it like any module; the first run compiles it.
const linter = "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"

// workflowLinter is the version of actionlint, run in the same way.
const workflowLinter = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

// Workflows has actionlint read them. What this project asks of them beyond that
// is in the tests of package workflow.
func Workflows(ctx context.Context, _ *tally.Tally, c subject.Checkout) error {
	files, err := filepath.Glob(filepath.Join(c.Root, ".github", "workflows", "*.yml"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("there are no workflows in .github/workflows")
	}
	// GitHub has the queue, and this version does not know it.
	return c.Go(ctx, append([]string{"run", workflowLinter, "-ignore", `^unexpected key "queue" for "concurrency" section`}, files...)...)
}

// Vet has the go command read the code.
func Vet(ctx context.Context, _ *tally.Tally, c subject.Checkout) error {
	return c.EachModule(ctx, "vet", "-tags=mage", "./...")
}

// Go has golangci-lint read the code.
func Go(ctx context.Context, _ *tally.Tally, c subject.Checkout) error {
	fmt.Fprintln(c.Log, "compiling the linter takes some minutes the first time")
	return c.EachModule(ctx, "run", append(slices.Clone(linterProgram), "run", "--build-tags=mage", "./...")...)
}

// linterProgram is the linter to `go run`. Nobody takes a debugger to it: without
// what one reads, it was measured to compile in a tenth less time. Go's own
// library stays as others use it.
var linterProgram = []string{"-gcflags=github.com/...=-dwarf=false", linter}

// Warm compiles the linter into the go command's cache, on one processor, until
// it is done or ctx ends. A failure is of no consequence: the check of that name
// does what is not done.
func Warm(ctx context.Context, c subject.Checkout) {
	fmt.Fprintln(c.Log, "compiling the linter meanwhile, as far as that gets")
	_ = c.Go(ctx, slices.Concat([]string{"run", "-p=1"}, linterProgram, []string{"version"})...)
}

// Scripts has shellcheck read what runs inside the containers, and what is installed,
// examples among it.
func Scripts(ctx context.Context, _ *tally.Tally, c subject.Checkout) error {
	var files []string
	for _, pattern := range []string{"tests/*/*.sh", "tests/*/*/*.sh", "packages/*.sh", "packages/*/examples/*/*.sh", "units/*/openrc/*.initd"} {
		found, err := filepath.Glob(filepath.Join(c.Root, pattern))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	return By(ctx, c, "shellcheck", nil, files...)
}
