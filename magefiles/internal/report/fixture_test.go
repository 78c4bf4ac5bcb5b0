package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is a run as it may be: most is well, something failed with a log,
// a place did not come up, others cannot run here, one lacks a scenario.
func sample() Run {
	r := Run{
		Version: "SPIRE 1.13.3-1",
		Start:   time.Date(2026, time.November, 25, 22, 44, 2, 0, time.UTC),
		Took:    9*time.Minute + 41*time.Second,
	}
	all := []string{"fresh", "works", "upgrade", "downgrade", "moving", "instances", "removal", "rough"}
	r.place("debian-12", "amd64", "blocking", append(all, "source")...)
	r.place("debian-12-arm64", "arm64", "blocking", all...)
	r.place("debian-13", "amd64", "blocking", all...)
	r.fail(2, "upgrade", "entries are kept, expected 3, got 0", "debian-13")
	r.place("debian-forky", "amd64", "informing", all...)
	r.skip("debian-forky", "moving", "no version of that age is to be had")
	r.unlogged("debian-sid", "amd64", "informing", Failed, "making the root: mmdebstrap --variant=minbase sid: exit status 25: E: Failed to fetch the package lists", all)
	r.unlogged("ubuntu-24.04", "amd64", "blocking", Skipped, "cannot run on this host: no registry of images answers", all)
	r.unlogged("fedora-44", "amd64", "blocking", Skipped, "cannot run on this host: no registry of images answers", all)
	r.place("rpm-4.18", "amd64", "blocking", append(all, "source")...)
	r.place("rpm-4.20", "amd64", "blocking", all...)
	r.fail(9, "instances", "spire-server@b answers after spire-server@a stopped, expected yes, got no", "rpm-4.20")
	r.place("rpm-4.20-zypper", "amd64", "blocking", all...)
	return r
}

// place adds results that passed, each after a time of its own.
func (r *Run) place(name, arch, tier string, scenarios ...string) {
	for i, scenario := range scenarios {
		took := time.Duration(3100+(len(r.Results)*7919+i*4391)%41_000) * time.Millisecond
		log := name + "/" + scenario + "/output.txt"
		r.Results = append(r.Results, Result{name, arch, tier, scenario, Passed, "", 12 + i*5, took, log})
	}
}

// unlogged adds results that share what befell their place.
func (r *Run) unlogged(name, arch, tier string, status Status, reason string, scenarios []string) {
	for _, scenario := range scenarios {
		r.Results = append(r.Results, Result{Place: name, Arch: arch, Tier: tier, Scenario: scenario, Status: status, Reason: reason})
	}
}

func (r *Run) of(place, scenario string) *Result {
	for i := range r.Results {
		if r.Results[i].Place == place && r.Results[i].Scenario == scenario {
			return &r.Results[i]
		}
	}
	panic("no " + place + " " + scenario)
}

func (r *Run) fail(checks int, scenario, reason, place string) {
	result := r.of(place, scenario)
	result.Status, result.Reason, result.Checks = Failed, reason, checks
}

func (r *Run) skip(place, scenario, reason string) {
	result := r.of(place, scenario)
	result.Status, result.Reason, result.Checks = Skipped, reason, 0
}

// logsOf is a folder with the logs that a run speaks of.
func logsOf(t *testing.T, r Run) string {
	t.Helper()
	dir := t.TempDir()
	for _, result := range r.Results {
		if result.Log == "" {
			continue
		}
		var b strings.Builder
		for i := range result.Checks {
			fmt.Fprintf(&b, "ok: check %d of %s\n", i+1, result.Scenario)
		}
		if result.Status != Passed {
			fmt.Fprintf(&b, "FAIL: %s\n", result.Reason)
			save(t, filepath.Join(dir, filepath.Dir(result.Log), "journal.txt"), "the journal")
			save(t, filepath.Join(dir, filepath.Dir(result.Log), "packages.txt"), "the package manager's log")
		}
		save(t, filepath.Join(dir, result.Log), b.String())
	}
	return dir
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// written is the folder of a run's report.
func written(t *testing.T, r Run) string {
	t.Helper()
	dir := logsOf(t, r)
	if err := Write(dir, r); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
