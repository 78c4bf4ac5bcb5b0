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
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// selection narrows the distributions' part down; what is empty takes all.
type selection struct{ row, scenario string }

// distributions takes every place of tests/distros.yaml through every scenario,
// with packages from a signed repository, and counts each.
func (b built) distributions(ctx context.Context, tally *Tally, only selection) error {
	if err := tool.Need(slices.Concat(repo.Tools(), []string{"docker", "mmdebstrap", "gpg"})...); err != nil {
		return err
	}
	places, err := b.places(tally, only.row)
	if err != nil {
		return err
	}
	stage, err := b.openStage(ctx)
	if err != nil {
		return err
	}
	defer stage.close()
	host, err := stage.host()
	if err != nil {
		return err
	}
	scenarios, err := distro.Scenarios(host.Scenarios)
	if err != nil {
		return err
	}
	if only.scenario != "" {
		scenarios = strings.Split(only.scenario, ",")
	}
	report, err := host.Run(ctx, places, scenarios)
	countReport(tally, report)
	if err != nil {
		return err
	}
	return errCounted
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
