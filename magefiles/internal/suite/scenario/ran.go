package scenario

import (
	"errors"
	"fmt"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
)

// Ran says of which places that block a release nothing good is known: the reports,
// one a folder in dir, lack them, or nothing ran there, or something failed. A place
// where nothing ran, as its image could not be had, is no verdict on the packages.
func Ran(root, dir string) error {
	rows, err := host.Rows(root)
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
			if row.Tier == matrix.Blocking {
				errs = append(errs, proven(matrix.Target{Distribution: row, Arch: arch}.Name(), run.Results))
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
