package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// selection narrows the distributions' part down; what is empty takes all.
type selection struct {
	rows, scenarios []string
	// blocking leaves out the rows that only inform.
	blocking bool
}

// distributions takes every place of tests/distros.yaml through every scenario,
// with packages from a signed repository, and counts each.
func (b built) distributions(ctx context.Context, t *tally.Tally, only selection) error {
	if err := fixtureTools(); err != nil {
		return err
	}
	places, err := b.places(t, only)
	if err != nil {
		return err
	}
	fixture, err := b.fixture(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	host, err := fixture.hostOf(ctx, mainRepository)
	if err != nil {
		return err
	}
	if b.fewer {
		host.Vars = append(host.Vars, "OLDER_PLACES="+strings.Join(older(places), " "))
	}
	scenarios, err := b.scenarios(host, only)
	if err != nil {
		return err
	}
	start := time.Now()
	results, err := host.Run(ctx, places, scenarios)
	countReport(t, results)
	if err != nil {
		return err
	}
	if err := b.report(host.Reports, start, results); err != nil {
		return err
	}
	return tally.ErrCounted
}

// scenarios are those to be played.
func (b built) scenarios(host *distro.Host, only selection) ([]string, error) {
	switch {
	case len(only.scenarios) > 0:
		return only.scenarios, nil
	case !b.source.Main: // the others are about the main one
		return []string{packagesScenario}, nil
	}
	return distro.Scenarios(host.Scenarios)
}

// older are the names of the places that have a newer one with the same package manager,
// which comes later in the list. Only what this machine makes itself counts: an image may
// not be had.
func older(places []distro.Target) (names []string) {
	newest := map[string]string{}
	for _, place := range places {
		if place.Image.Suite == "" {
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

// packagesScenario is about the packages of other sources than the main one.
const packagesScenario = "packages"

// report writes what was found out in every form, and says it as a table.
func (b built) report(dir string, start time.Time, results distro.Report) error {
	run := report.Run{Version: b.source.Title + " " + b.full(), Start: start, Took: time.Since(start)}
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

// hostFor is this machine, ready to run the scripts of a folder of tests.
func (s Suite) hostFor(scripts string) (*distro.Host, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding a place for the distributions' roots: %w", err)
	}
	defined, err := s.defined()
	if err != nil {
		return nil, err
	}
	return &distro.Host{
		Cache:   filepath.Join(cache, "spire-packages", "roots"),
		Reports: filepath.Join(string(s.Pipeline.Dist), "test"), Scenarios: filepath.Join(s.Root, "tests", scripts),
		Vars: defined, Log: s.Log,
	}, nil
}

// defined are the main source's packages as scripts know them, by variable: their names,
// and the units and users that they bring.
func (s Suite) defined() ([]string, error) {
	source, err := s.main()
	if err != nil {
		return nil, err
	}
	packages, err := pipeline.Pipeline{Root: s.Root}.Packages(source)
	if err != nil {
		return nil, err
	}
	var names, units, services, users []string
	for _, p := range packages {
		names = append(names, p.Name)
		units = append(units, slices.Concat(p.Units.Switched(), p.Shares)...)
		for _, user := range p.Units.Users {
			users = append(users, user.Name)
		}
	}
	units = slices.Compact(slices.Sorted(slices.Values(units)))
	for _, unit := range units {
		if strings.HasSuffix(unit, ".service") && !strings.Contains(unit, "@") {
			services = append(services, unit)
		}
	}
	return []string{
		"NAMES=" + strings.Join(names, " "), "UNITS=" + strings.Join(units, " "),
		"SERVICES=" + strings.Join(services, " "), "USERS=" + strings.Join(users, " "),
	}, nil
}

func countReport(t *tally.Tally, report distro.Report) {
	if len(report) > 0 && !slices.ContainsFunc(report, func(r distro.Result) bool { return r.Tier != distro.Informing }) {
		t.Informs()
	}
	for _, result := range report {
		var err error
		switch result.Status {
		case distro.Skipped:
			err = tally.Skip(result.Reason)
		case distro.Failed:
			err = errors.New(result.Reason + " (see " + result.Logs + ")")
			if result.Tier == distro.Informing {
				err = tally.Skip("this row only informs, and it says: " + err.Error())
			}
		}
		t.Count(result.Distribution+" "+result.Scenario, err, time.Duration(result.Seconds*float64(time.Second)))
	}
}

// Pins writes into tests/distros.yaml which images its references have now.
func (s Suite) Pins(ctx context.Context) error {
	return distro.Pin(ctx, filepath.Join(s.Root, "tests", "distros.yaml"), s.Log)
}

// Ran says of which places that block a release nothing good is known: the reports,
// one a folder in dir, lack them, or nothing ran there, or something failed. A place
// where nothing ran, as its image could not be had, is no verdict on the packages.
func (s Suite) Ran(dir string) error {
	rows, err := distro.Load(filepath.Join(s.Root, "tests", "distros.yaml"))
	if err != nil {
		return err
	}
	run, err := report.Join(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, row := range rows {
		for _, arch := range row.Architectures {
			if row.Tier == distro.Blocking {
				errs = append(errs, proven(distro.Target{Distribution: row, Arch: arch}.Name(), run.Results))
			}
		}
	}
	return errors.Join(errs...)
}

// proven says why nothing good is known of a place.
func proven(place string, results []report.Result) error {
	passed, why := 0, "no report is about it"
	for _, result := range results {
		switch {
		case result.Place != place:
		case result.Status == report.Failed:
			return fmt.Errorf("%s: %s failed: %s", place, result.Scenario, result.Reason)
		case result.Status == report.Passed:
			passed++
		default:
			why = result.Reason
		}
	}
	if passed == 0 {
		return fmt.Errorf("%s: nothing ran there: %s", place, why)
	}
	return nil
}

// Matrix is the places of tests/distros.yaml as JSON in one line, for a workflow.
func (s Suite) Matrix() (string, error) {
	rows, err := distro.Load(filepath.Join(s.Root, "tests", "distros.yaml"))
	if err != nil {
		return "", err
	}
	matrix, err := distro.Matrix(rows)
	return string(matrix), err
}
