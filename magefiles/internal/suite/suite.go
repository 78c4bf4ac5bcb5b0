// Package suite is every check and test that the project has, in their order.
package suite

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/gotest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Suite is all checks and tests of a checkout.
type Suite struct {
	Root     string
	Pipeline pipeline.Pipeline
	Log      io.Writer
}

// static are the checks that need no build.
func (s Suite) static() []tally.Check {
	return []tally.Check{
		{Name: "definitions", Run: s.definitions},
		{Name: "vet", Run: s.vet},
		{Name: "lint", Run: s.lint},
		{Name: "units", Run: s.units},
		{Name: "scripts", Run: s.scripts},
		{Name: "workflows", Run: s.workflows},
	}
}

// Static runs the checks that need no build.
func (s Suite) Static(ctx context.Context) error { return s.runAll(ctx, s.static()) }

// Unit runs the Go tests.
func (s Suite) Unit(ctx context.Context) error {
	return s.runAll(ctx, []tally.Check{{Name: "unit", Run: func(ctx context.Context, t *tally.Tally) error { return gotest.Check(ctx, t, s.Root) }}})
}

// All builds the packages and runs everything. What is tested is what was
// built; a build that fails ends the suite.
func (s Suite) All(ctx context.Context, o pipeline.Options) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	defer built.closeFixture()
	built.fewer = true
	// Few checks fill the machine by themselves: the rest wait, or work on one
	// core. The longest begin first.
	t := &tally.Tally{Log: s.Log, Lanes: 3}
	t.Run(ctx, append(s.static(),
		tally.Check{Name: "unit", Run: built.unit},
		tally.Check{Name: "configurations", Run: built.configurations},
		tally.Check{Name: "rebuild", Run: built.rebuildBlocking},
		tally.Check{Name: "distributions", Run: func(ctx context.Context, t *tally.Tally) error {
			return built.distributions(ctx, t, selection{blocking: true})
		}},
		tally.Check{Name: "lintian", Run: built.lintian},
		tally.Check{Name: "piuparts", Run: built.piuparts},
		tally.Check{Name: "reproducible", Run: built.reproducible},
		tally.Check{Name: "reproducible elsewhere", Run: built.elsewhere},
		tally.Check{Name: "self", Run: built.self},
		tally.Check{Name: "trust", Run: built.trust},
		tally.Check{Name: "rpm", Run: built.rpm},
		tally.Check{Name: "rpmlint", Run: built.rpmlint},
		tally.Check{Name: "machine's parts", Run: built.machineParts},
		tally.Check{Name: "advisories", Run: func(ctx context.Context, _ *tally.Tally) error {
			return built.advised(ctx, osv.Client{Attempts: 1, Patience: time.Minute})
		}},
	)...)
	built.leftOut(ctx, t)
	// They begin builds and tests once more: too long for whoever waits for a commit.
	t.Count("workflows' runs", tally.Skip("they play whole nights: whoever has changed a workflow, or what it calls, asks test:workflows"), 0)
	// A processor that is emulated needs this one for itself.
	t.Run(ctx, tally.Check{Name: "machine", Run: built.machine})
	return t.Close()
}

// Distributions builds the packages and runs the scenarios at the places of
// tests/distros.yaml that are named; all where none is.
func (s Suite) Distributions(ctx context.Context, o pipeline.Options, rows, scenarios []string) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	defer built.closeFixture()
	return s.runAll(ctx, []tally.Check{{Name: "distributions", Run: func(ctx context.Context, t *tally.Tally) error {
		return built.distributions(ctx, t, selection{rows: rows, scenarios: scenarios})
	}}})
}

// main is the main source.
func (s Suite) main() (pkgdef.Source, error) { return pipeline.Pipeline{Root: s.Root}.Source("") }

func (s Suite) runAll(ctx context.Context, checks []tally.Check) error {
	t := &tally.Tally{Log: s.Log}
	t.Run(ctx, checks...)
	return t.Close()
}

func (s Suite) definitions(context.Context, *tally.Tally) error {
	packages, err := pkgdef.Load(s.Root)
	if err != nil {
		return err
	}
	for _, p := range packages {
		if _, err := pkgdef.LoadSource(s.Root, p.Source); err != nil {
			return fmt.Errorf("packages/%s: %w", p.Name, err)
		}
	}
	if _, err := pkgdef.LoadKeyrings(s.Root); err != nil {
		return err
	}
	if _, err := s.accepted(); err != nil {
		return err
	}
	rows, err := distro.Load(filepath.Join(s.Root, "tests", "distros.yaml"))
	if err != nil {
		return err
	}
	return distro.Ended(rows, time.Now())
}

// scripts has shellcheck read what runs inside the containers.
func (s Suite) scripts(ctx context.Context, _ *tally.Tally) error {
	var files []string
	for _, pattern := range []string{"*/*.sh", "*/*/*.sh"} {
		found, err := filepath.Glob(filepath.Join(s.Root, "tests", pattern))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	return s.linted(ctx, "shellcheck", nil, files...)
}
