package suite

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Suite is all checks and tests of a checkout.
type Suite struct {
	Root     string
	Pipeline pipeline.Pipeline
	Log      io.Writer
}

// static are the checks that need no build.
func (s Suite) static() []Check {
	return []Check{
		{"definitions", s.definitions},
		{"vet", s.vet},
		{"lint", s.lint},
		{"units", s.units},
		{"scripts", s.scripts},
		{"workflows", s.workflows},
	}
}

// Static runs the checks that need no build.
func (s Suite) Static(ctx context.Context) error { return s.runAll(ctx, s.static()) }

// Unit runs the Go tests.
func (s Suite) Unit(ctx context.Context) error {
	return s.runAll(ctx, []Check{{"unit", func(ctx context.Context, t *Tally) error { return s.unit(ctx, t) }}})
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
	tally := &Tally{Log: s.Log, Lanes: 3}
	tally.Run(ctx, append(s.static(),
		Check{"unit", built.unit},
		Check{"configurations", built.configurations},
		Check{"rebuild", built.rebuildBlocking},
		Check{"distributions", func(ctx context.Context, t *Tally) error {
			return built.distributions(ctx, t, selection{blocking: true})
		}},
		Check{"lintian", built.lintian},
		Check{"piuparts", built.piuparts},
		Check{"reproducible", built.reproducible},
		Check{"reproducible elsewhere", built.elsewhere},
		Check{"self", built.self},
		Check{"trust", built.trust},
		Check{"rpm", built.rpm},
		Check{"rpmlint", built.rpmlint},
		Check{"machine's parts", built.machineParts},
		Check{"advisories", func(ctx context.Context, _ *Tally) error {
			return built.advised(ctx, osv.Client{Attempts: 1, Patience: time.Minute})
		}},
	)...)
	built.leftOut(ctx, tally)
	// They begin builds and tests once more: too long for whoever waits for a commit.
	tally.Count("workflows' runs", Skip{"they play whole nights: whoever has changed a workflow, or what it calls, asks test:workflows"}, 0)
	// A processor that is emulated needs this one for itself.
	tally.Run(ctx, Check{"machine", built.machine})
	return tally.Close()
}

// Distributions builds the packages and runs the scenarios at the places of
// tests/distros.yaml that are named; all where none is.
func (s Suite) Distributions(ctx context.Context, o pipeline.Options, rows, scenarios []string) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	defer built.closeFixture()
	return s.runAll(ctx, []Check{{"distributions", func(ctx context.Context, t *Tally) error {
		return built.distributions(ctx, t, selection{rows: rows, scenarios: scenarios})
	}}})
}

// main is the main source.
func (s Suite) main() (pkgdef.Source, error) { return pipeline.Pipeline{Root: s.Root}.Source("") }

func (s Suite) runAll(ctx context.Context, checks []Check) error {
	tally := &Tally{Log: s.Log}
	tally.Run(ctx, checks...)
	return tally.Close()
}

func (s Suite) definitions(context.Context, *Tally) error {
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
	rows, err := matrix.Load(filepath.Join(s.Root, "tests", "distros.yaml"))
	if err != nil {
		return err
	}
	return matrix.Ended(rows, time.Now())
}

// scripts has shellcheck read what runs inside the containers.
func (s Suite) scripts(ctx context.Context, _ *Tally) error {
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
