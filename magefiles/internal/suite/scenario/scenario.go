// Package scenario plays the scenarios of tests/scenarios at the rows of tests/distros.yaml,
// and reports what they have come to.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Selection narrows down what is played; what is empty takes all.
type Selection struct {
	Rows, Scenarios []string // names
	// Blocking leaves out the rows that only inform.
	Blocking bool
}

// Blocking plays every scenario at the rows that do not only inform.
func Blocking(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
	return Play(ctx, t, shared, Selection{Blocking: true})
}

// Play takes every row of tests/distros.yaml through every scenario, with packages from a
// signed repository, and counts each.
func Play(ctx context.Context, t *tally.Tally, shared *fixture.Shared, only Selection) error {
	if err := host.Need(); err != nil {
		return err
	}
	places, err := host.Select(t, shared.Root, host.Selection{Rows: only.Rows, Arches: shared.Options.Arches, Blocking: only.Blocking})
	if err != nil {
		return err
	}
	shared.Alone = only.alone(places)
	made, err := shared.Open(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	machine, err := only.machine(ctx, t, shared, made, places)
	if err != nil {
		return err
	}
	asked := played{only, places, machine.Special, shared.Fewer}
	scenarios, err := asked.scenarios(t, shared.Build, machine.Scenarios)
	if err != nil {
		return err
	}
	if err := asked.prepare(ctx, made, scenarios); err != nil {
		return err
	}
	start := time.Now()
	results, err := machine.Run(ctx, places, scenarios)
	host.Count(t, results)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		return fmt.Errorf("%s: none of these is played at %s", strings.Join(scenarios, ", "), strings.Join(only.Rows, ", "))
	}
	if err := write(shared.Build, machine.Reports, start, results); err != nil {
		return err
	}
	return tally.ErrCounted
}

// alone says whether nothing is upgraded: only what is always emulated is played there.
func (s Selection) alone(places []matrix.Target) bool {
	further := func(name string) bool { return !slices.Contains(emulated, name) }
	return !slices.ContainsFunc(places, matrix.Target.Hosted) && !slices.ContainsFunc(s.Scenarios, further)
}

// machine is this machine, ready to play with a fixture at places.
func (s Selection) machine(ctx context.Context, t *tally.Tally, shared *fixture.Shared, made *fixture.Fixture, places []matrix.Target) (*scenario.Host, error) {
	machine, err := made.Host(ctx, fixture.Main)
	if err != nil {
		return nil, err
	}
	if shared.Fewer {
		machine.Vars = append(machine.Vars, "FEWER=1")
		machine.Older = older(places)
	}
	if len(s.Scenarios) == 0 && shared.Source.Main {
		machine.Emulated = emulated
	}
	rows, err := host.Rows(shared.Root)
	if err != nil {
		return nil, err
	}
	machine.Special = matrix.Special(rows)
	if !t.Until.IsZero() {
		machine.Until, machine.Late = t.Until.Add(-scenarioTakes), tally.TooLate(t.Until, scenarioTakes).Error()
	}
	return machine, nil
}

// prepare makes what single scenarios take, where they are played.
func (p played) prepare(ctx context.Context, made *fixture.Fixture, scenarios []string) error {
	for name, do := range map[string]func(context.Context) error{
		pluginScenario: made.Plugins, archiveScenario: made.Archive, rebuildersScenario: made.Rebuilders,
	} {
		if !p.somewhere(scenarios, name) {
			continue
		}
		if err := do(ctx); err != nil {
			return fmt.Errorf("making what the scenario %s takes: %w", name, err)
		}
	}
	return nil
}

// archiveScenario is about a repository that gives nothing up.
const archiveScenario = "archive"

// rebuildersScenario is about attestations of others.
const rebuildersScenario = "rebuilders"

// pluginScenario is about a plugin that is compiled for it.
const pluginScenario = "plugins"

// played is what is asked for, and where it is played.
type played struct {
	only    Selection
	places  []matrix.Target
	special []string // what some row alone plays
	fewer   bool     // somebody waits
}

// somewhere says whether a scenario, one of those given, is played at one of the places.
func (p played) somewhere(scenarios []string, name string) bool {
	return slices.ContainsFunc(p.places, func(place matrix.Target) bool {
		return slices.Contains(place.Plays(scenarios, p.special), name)
	})
}

// scenarios are those to be played, of a folder.
func (p played) scenarios(t *tally.Tally, b subject.Build, dir string) ([]string, error) {
	switch {
	case len(p.only.Scenarios) > 0:
		return p.only.Scenarios, nil
	case !b.Source.Main: // the others are about the main one
		return []string{packagesScenario}, nil
	}
	all, err := scenario.List(dir)
	if err != nil || !p.fewer {
		return all, err
	}
	return p.forNow(t, all, dir)
}

// forNow are those of the scenarios that somebody waits for: none of the nights', which it
// says, once for all places.
func (p played) forNow(t *tally.Tally, scenarios []string, dir string) ([]string, error) {
	var left []string
	for _, name := range scenarios {
		terms, err := scenario.TermsOf(dir, name)
		if err != nil {
			return nil, err
		}
		switch {
		case terms.Nights == "":
			left = append(left, name)
		case p.somewhere(scenarios, name):
			t.Count("scenario "+name, tally.Skip(terms.Nights+": whoever wants to know asks test:distros, as each night does"), 0)
		}
	}
	return left, nil
}

// older are the names of the places that have a newer one with the same package manager,
// which comes later in the list. Only what this machine makes itself counts: an image may
// not be had.
func older(places []matrix.Target) (names []string) {
	newest := map[string]string{}
	for _, place := range places {
		if place.Image.Suite == "" || len(place.Scenarios) > 0 {
			continue
		}
		key := place.Client() + " " + place.Arch
		if before := newest[key]; before != "" {
			names = append(names, before)
		}
		newest[key] = place.Name()
	}
	return names
}

// scenarioTakes is how long the longest of those scenarios take that are played where
// somebody waits.
const scenarioTakes = 8 * time.Minute

// emulated are the scenarios for architectures that are always emulated: how the packages
// lie there, and the way to an identity. What else there is to find out is the same on all.
var emulated = []string{"fresh", "works"}

// packagesScenario is about the packages of other sources than the main one.
const packagesScenario = "packages"

// write reports what was found out in every form, and says it as a table.
func write(b subject.Build, dir string, start time.Time, results scenario.Report) error {
	run := report.Run{Version: b.Source.Title + " " + b.Full(), Start: start, Took: time.Since(start)}
	for _, r := range results {
		result := report.Result{
			Place: r.Distribution, Arch: r.Arch, Tier: string(r.Tier), Scenario: r.Scenario, Status: report.Status(r.Status),
			Reason: r.Reason, Checks: r.Checks, Took: time.Duration(r.Seconds * float64(time.Second)),
		}
		if log, err := filepath.Rel(dir, r.Logs); err == nil && r.Logs != "" {
			result.Log = filepath.ToSlash(log) + "/output.txt"
		}
		run.Results = append(run.Results, result)
	}
	if err := report.Write(dir, run); err != nil {
		return fmt.Errorf("reporting what the distributions said: %w", err)
	}
	fmt.Fprintf(b.Log, "the report is in %s\n", filepath.Join(dir, report.Page))
	return errors.Join(report.Table(b.Log, run), onJobPage(filepath.Join(dir, report.Summary)))
}

// onJobPage adds the summary to the page of the workflow's job, if there is one.
func onJobPage(summary string) error {
	content, err := os.ReadFile(summary)
	if err != nil {
		return err
	}
	return stepfile.AddSummary(string(content))
}
