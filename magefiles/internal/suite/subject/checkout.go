// Package subject is what the checks look at: a checkout, and what was built of its
// sources.
package subject

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Checkout is a checkout of the project, and how it is built.
type Checkout struct {
	Root     string // its folder
	Pipeline pipeline.Pipeline
	Log      io.Writer
}

// Main is the main source.
func (c Checkout) Main() (pkgdef.Source, error) { return pipeline.Pipeline{Root: c.Root}.Source("") }

// Modules are the folders of the checkout's Go modules, below its own: of the targets, and
// of each source that is of this repository.
func (c Checkout) Modules() ([]string, error) {
	sources, err := pkgdef.Sources(c.Root)
	modules := []string{"."}
	for _, source := range sources {
		if source.Own == "" {
			continue
		}
		module, failed := filepath.Rel(c.Root, source.Own)
		modules, err = append(modules, module), errors.Join(err, failed)
	}
	return modules, err
}

// pluginModule is the module of the plugin that the scenario plugins has built. It has no
// tests of its own.
const pluginModule = "tests/plugin/srpm/sesame/src"

// EachModule runs the go command in each of them, and in that of the scenarios' plugin.
func (c Checkout) EachModule(ctx context.Context, command string, args ...string) error {
	modules, err := c.Modules()
	for _, module := range append(modules, pluginModule) {
		err = errors.Join(err, c.Go(ctx, append([]string{command, "-C=" + module}, args...)...))
	}
	return err
}

// Command runs a program in the checkout; what it says goes into the error.
func (c Checkout) Command(ctx context.Context, name string, args ...string) error {
	return c.Said(ctx, run.New(name, args...))
}

// Go runs the go command in the checkout, like Command.
func (c Checkout) Go(ctx context.Context, args ...string) error {
	return c.Said(ctx, run.New("go", args...).WithEnv(gotool.Roomy()...))
}

// Said is Command for one that has more to it; what it says goes into the error.
func (c Checkout) Said(ctx context.Context, command run.Command) error {
	out, err := command.In(c.Root).Combined(ctx)
	var failed *run.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("%s: %w%s", failed.Line, failed.Err, tally.Indented(out))
	}
	return err
}

// Share gives a folder's files other names or, on another file system, copies them.
func (c Checkout) Share(ctx context.Context, from, to string) error {
	return c.Command(ctx, "sh", "-ec", `mkdir -p "$1" && { cp -al "$0/." "$1" || cp -a "$0/." "$1"; }`, from, to)
}

// CopyDefinitions copies what says how packages are made.
func (c Checkout) CopyDefinitions(ctx context.Context, root string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"packages", "units", "srpm"} {
		if err := c.Command(ctx, "cp", "-r", filepath.Join(c.Root, name), root); err != nil {
			return err
		}
	}
	return nil
}
