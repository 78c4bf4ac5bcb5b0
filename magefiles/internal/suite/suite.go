// Package suite is every check and test that the project has, in their order.
package suite

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/configuration"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/demand"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/gotest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/lint"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/machine"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/mutation"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/piuparts"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/rebuild"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/trust"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/unitfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/vulnerability"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/workflow"
)

// Suite runs the checks of a checkout.
type Suite struct{ subject.Checkout }

// on is a check of something: a checkout, what was built of it, or a fixture with that.
func on[T any](name string, of T, check func(context.Context, *tally.Tally, T) error) tally.Check {
	return tally.Check{Name: name, Run: func(ctx context.Context, t *tally.Tally) error { return check(ctx, t, of) }}
}

// long is a check that takes minutes.
func long(takes time.Duration, check tally.Check) tally.Check {
	check.Takes = takes
	return check
}

// untilName is the variable of the environment that has the time, as RFC 3339 has it, by
// which All has to be done: what would end later is left out, and counted as skipped.
const untilName = "SPIRE_TEST_UNTIL"

func until() (time.Time, error) {
	text := os.Getenv(untilName)
	if text == "" {
		return time.Time{}, nil
	}
	end, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return end, fmt.Errorf("%s: %q is no time such as 2026-11-30T02:00:00Z", untilName, text)
	}
	return end, nil
}

// static are the checks that need no build.
func (s Suite) static() []tally.Check {
	return []tally.Check{
		on("definitions", s.Checkout, definitions),
		on("vet", s.Checkout, lint.Vet),
		on("lint", s.Checkout, lint.Go),
		on("units", s.Checkout, unitfile.Check),
		on("scripts", s.Checkout, lint.Scripts),
		on("workflows", s.Checkout, lint.Workflows),
	}
}

// built are the checks of what was built. Few fill the machine by themselves: the rest wait,
// or work on one core. The longest begin first.
func built(shared *fixture.Shared) []tally.Check {
	build := shared.Build
	return []tally.Check{
		on("unit", build, unit),
		on("configurations", build, configuration.Check),
		long(12*time.Minute, on("rebuild", build, rebuild.Blocking)),
		on("distributions", shared, scenario.Blocking),
		long(6*time.Minute, on("lintian", build, lint.Lintian)),
		long(5*time.Minute, on("piuparts", shared, piuparts.Check)),
		long(5*time.Minute, on("reproducible", build, rebuild.Reproducible)),
		long(2*time.Minute, on("reproducible elsewhere", build, rebuild.Elsewhere)),
		long(6*time.Minute, on("self", shared, mutation.Check)),
		long(5*time.Minute, on("trust", build, trust.Check)),
		on("rpm", build, lint.RPM),
		on("rpmlint", build, lint.RPMLint),
		on("machine's parts", shared, machine.Prepare),
		on("advisories", build, advisories),
	}
}

// All builds the packages and runs everything. What is tested is what was
// built; a build that fails ends the suite.
func (s Suite) All(ctx context.Context, o pipeline.Options) error {
	end, err := until()
	if err != nil {
		return err
	}
	build, err := subject.Make(ctx, s.Checkout, o)
	if err != nil {
		return err
	}
	shared := &fixture.Shared{Build: build, Fewer: true}
	defer shared.Close()
	t := &tally.Tally{Log: s.Log, Lanes: 3, Until: end}
	t.Run(ctx, append(s.static(), built(shared)...)...)
	shared.LeftOut(ctx, t)
	// They begin builds and tests once more: too long for whoever waits for a commit.
	t.Count("workflows' runs", tally.Skip("they play whole nights: whoever has changed a workflow, or what it calls, asks test:workflows"), 0)
	// A processor that is emulated needs this one for itself.
	t.Run(ctx, long(15*time.Minute, on("machine", shared, machine.Check)))
	return t.Close()
}

// Static runs the checks that need no build.
func (s Suite) Static(ctx context.Context) error { return s.run(ctx, s.static()...) }

// Unit runs the Go tests.
func (s Suite) Unit(ctx context.Context) error {
	return s.run(ctx, tally.Check{Name: "unit", Run: func(ctx context.Context, t *tally.Tally) error { return gotest.Check(ctx, t, s.Checkout) }})
}

// Distributions builds the packages and runs the scenarios at the places of
// tests/distros.yaml that are named; all where none is.
func (s Suite) Distributions(ctx context.Context, o pipeline.Options, rows, scenarios []string) error {
	only := scenario.Selection{Rows: rows, Scenarios: scenarios}
	return s.runBuilt(ctx, o, "distributions", func(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
		return scenario.Play(ctx, t, shared, only)
	})
}

// Rebuild builds, and then builds the packages once more from their source
// packages at every place of tests/rebuild.yaml, each with nothing of another's.
func (s Suite) Rebuild(ctx context.Context, o pipeline.Options) error {
	return s.runBuilt(ctx, o, "rebuild", ofBuild(rebuild.Check))
}

// RebuildShipped builds the packages of a folder once more from the source
// packages there, at the places where a difference stops a release.
func (s Suite) RebuildShipped(ctx context.Context, dir string) error {
	shipped, err := rebuild.Shipped(s.Checkout, dir)
	if err != nil {
		return err
	}
	return s.run(ctx, on("rebuild", shipped, rebuild.Again))
}

// Workflows plays the workflows with what was built.
func (s Suite) Workflows(ctx context.Context, o pipeline.Options) error {
	return s.runBuilt(ctx, o, "workflows' runs", ofBuild(workflow.Check))
}

// Store publishes to a real service of object storage, while real clients read.
func (s Suite) Store(ctx context.Context, o pipeline.Options) error {
	return s.runBuilt(ctx, o, "store", ofBuild(trust.Store))
}

// Self plants faults in packages, and has the scenarios find them.
func (s Suite) Self(ctx context.Context, o pipeline.Options) error {
	return s.runBuilt(ctx, o, "self", mutation.Check)
}

// Machine builds the packages and uses them on a whole machine.
func (s Suite) Machine(ctx context.Context, o pipeline.Options) error {
	return s.runBuilt(ctx, o, "machine", machine.Check)
}

// Vulnerabilities looks for what is known to be vulnerable in packages that are shipped.
func (s Suite) Vulnerabilities(ctx context.Context, looked pipeline.Looked, ask vulnerability.Databases) error {
	return s.run(ctx, on("vulnerabilities", s.Checkout, func(ctx context.Context, t *tally.Tally, c subject.Checkout) error {
		return vulnerability.Check(ctx, t, c, looked, ask)
	}))
}

func (s Suite) run(ctx context.Context, checks ...tally.Check) error {
	t := &tally.Tally{Log: s.Log}
	t.Run(ctx, checks...)
	return t.Close()
}

// runBuilt builds the packages, and runs one check of them.
func (s Suite) runBuilt(ctx context.Context, o pipeline.Options, name string, check func(context.Context, *tally.Tally, *fixture.Shared) error) error {
	build, err := subject.Make(ctx, s.Checkout, o)
	if err != nil {
		return err
	}
	shared := &fixture.Shared{Build: build}
	defer shared.Close()
	return s.run(ctx, on(name, shared, check))
}

// ofBuild is a check that needs no fixture.
func ofBuild(check func(context.Context, *tally.Tally, subject.Build) error) func(context.Context, *tally.Tally, *fixture.Shared) error {
	return func(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
		return check(ctx, t, shared.Build)
	}
}

func definitions(_ context.Context, _ *tally.Tally, c subject.Checkout) error {
	packages, err := pkgdef.Load(c.Root)
	if err != nil {
		return err
	}
	for _, p := range packages {
		if _, err := pkgdef.LoadSource(c.Root, p.Source); err != nil {
			return fmt.Errorf("packages/%s: %w", p.Name, err)
		}
	}
	if _, err := pkgdef.Sources(c.Root); err != nil { // those without packages, too
		return err
	}
	if _, err := pkgdef.LoadKeyrings(c.Root); err != nil {
		return err
	}
	if _, err := vulnerability.Accepted(c.Root); err != nil {
		return err
	}
	if _, err := demand.Load(c.Root); err != nil {
		return err
	}
	rows, err := host.Rows(c.Root)
	if err != nil {
		return err
	}
	return matrix.Ended(rows, time.Now())
}

// unit runs the Go tests with real packages, binaries and a real source tree to
// look at.
func unit(ctx context.Context, t *tally.Tally, b subject.Build) error {
	return gotest.Check(ctx, t, b.Checkout,
		"SPIRE_TEST_BUILT="+b.Result.Dir,
		"SPIRE_TEST_TREE="+b.Work("source"),
		"SPIRE_TEST_BINARIES="+b.Work(runtime.GOARCH, "bin"))
}

// advisories asks once: who waits for a commit does not wait for OSV.
func advisories(ctx context.Context, _ *tally.Tally, b subject.Build) error {
	return vulnerability.Advised(ctx, b, osv.Client{Attempts: 1, Patience: time.Minute})
}
