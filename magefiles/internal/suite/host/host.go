// Package host is this machine as the checks use it: ready to run scripts at the rows of
// tests/distros.yaml.
package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Need says which tools are missing to serve a repository to containers.
func Need() error {
	return tool.Need(slices.Concat(repo.Tools(), []string{"docker", "mmdebstrap", "gpg", "cp"})...)
}

// room is for the scenarios of all checks that run at once: each has several lanes, and
// more than this keep each other waiting. They wait more than they work.
var room = semaphore.NewWeighted(int64(3 * runtime.NumCPU()))

// New is this machine, ready to run the scripts of a folder of tests.
func New(c subject.Checkout, scripts string) (*scenario.Host, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding a place for the distributions' roots: %w", err)
	}
	defined, err := defined(c)
	if err != nil {
		return nil, err
	}
	return &scenario.Host{
		Maker:   rootfs.Maker{Driver: container.Driver{Log: c.Log}, Cache: filepath.Join(cache, "spire-packages", "roots")},
		Reports: filepath.Join(string(c.Pipeline.Dist), "test"), Scenarios: filepath.Join(c.Root, "tests", scripts),
		Vars: defined, Room: room,
	}, nil
}

// OfUser is New for what users do, who have a network; reports is a folder below that of
// all reports.
func OfUser(c subject.Checkout, scripts string, reports ...string) (*scenario.Host, error) {
	host, err := New(c, scripts)
	if err != nil {
		return nil, err
	}
	host.Library, host.Network = filepath.Join(c.Root, "tests", "scenarios", "lib"), true
	host.Reports = filepath.Join(append([]string{host.Reports}, reports...)...)
	return host, nil
}

// defined are the main source's packages as scripts know them, by variable: their names,
// and the units and users that they bring.
func defined(c subject.Checkout) ([]string, error) {
	source, err := c.Main()
	if err != nil {
		return nil, err
	}
	packages, err := pipeline.Pipeline{Root: c.Root}.Packages(source)
	if err != nil {
		return nil, err
	}
	var names, units, services, users []string
	for _, p := range pkgdef.Programs(packages) {
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

// Count counts what the scenarios of a report have come to.
func Count(t *tally.Tally, report scenario.Report) {
	if len(report) > 0 && !slices.ContainsFunc(report, func(r scenario.Result) bool { return r.Tier != matrix.Informing }) {
		t.Informs()
	}
	for _, result := range report {
		var err error
		switch result.Status {
		case scenario.Skipped:
			err = tally.Skip(result.Reason)
		case scenario.Failed:
			err = errors.New(result.Reason + " (see " + result.Logs + ")")
			if result.Tier == matrix.Informing {
				err = tally.Skip("this row only informs, and it says: " + err.Error())
			}
		}
		t.Count(result.Distribution+" "+result.Scenario, err, time.Duration(result.Seconds*float64(time.Second)))
	}
}

// Clients are the package managers.
var Clients = []string{"apt", "dnf", "zypper"}

// Skipped is a skip where an error says that this machine cannot run something; any other
// error is as it is.
func Skipped(err error) error {
	if errors.Is(err, container.ErrSkip) {
		return tally.Skip(err.Error())
	}
	return err
}
