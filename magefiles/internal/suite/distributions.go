package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// distributions installs the packages on every row of tests/distros.yaml, the
// rows side by side, and counts each scenario.
func (b built) distributions(ctx context.Context, tally *Tally) error {
	if err := tool.Need("docker", "mmdebstrap"); err != nil {
		return err
	}
	rows, err := distro.Load(filepath.Join(b.Root, "tests", "distros.yaml"))
	if err != nil {
		return err
	}
	host, scenarios, err := b.host()
	if err != nil {
		return err
	}
	reports := make([]distro.Report, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for i, row := range rows {
		packages := row.Select(b.files(string(row.Format)), runtime.GOARCH)
		if len(packages) == 0 {
			tally.Count(row.Name, Skip{"no packages for this machine were built"}, 0)
			continue
		}
		group.Go(func() (err error) {
			reports[i], err = host.Run(ctx, row, packages, scenarios)
			return err
		})
	}
	err = group.Wait()
	for _, report := range reports {
		countReport(tally, report)
	}
	if err != nil {
		return err
	}
	return errCounted
}

func (b built) host() (*distro.Host, []string, error) {
	host, err := b.hostFor("scenarios")
	if err != nil {
		return nil, nil, err
	}
	scenarios, err := distro.Scenarios(host.Scenarios)
	return host, scenarios, err
}

// hostFor is this machine, ready to run the scripts of a folder of tests.
func (b built) hostFor(scripts string) (*distro.Host, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding a place for the distributions' roots: %w", err)
	}
	return &distro.Host{
		Cache:   filepath.Join(cache, "spire-packages", "roots"),
		Reports: filepath.Join(string(b.Pipeline.Dist), "test"), Scenarios: filepath.Join(b.Root, "tests", scripts),
		Log: b.Log,
	}, nil
}

func countReport(tally *Tally, report distro.Report) {
	for _, result := range report {
		var err error
		switch result.Status {
		case distro.Skipped:
			err = Skip{result.Reason}
		case distro.Failed:
			err = errors.New(result.Reason + " (see " + result.Logs + ")")
		}
		tally.Count(result.Row+" "+result.Scenario, err, time.Duration(result.Seconds*float64(time.Second)))
	}
}
