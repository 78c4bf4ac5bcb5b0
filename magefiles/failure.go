//go:build mage

package main

import (
	"context"
	"errors"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/failure"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
)

// Failure is about runs that fail.
type Failure mg.Namespace

// Report opens, brings up to date or closes the issue that says why a workflow's runs fail.
//
// It is the last job of the workflow, and reads what a runner sets, and SPIRE_JOBS,
// GitHub's needs context as JSON, and SPIRE_ALARMS and SPIRE_WAITING, JSON lists of the
// plan's alarms and of the versions that wait for a person, which it names.
// It also keeps the workflow's schedule, which GitHub ends after 60 quiet days. The
// token in GITHUB_TOKEN or GH_TOKEN needs issues: write and actions: write. It fails
// where one of these could not be done, and not because the run has failed.
func (Failure) Report(ctx context.Context) error {
	run, err := failure.FromEnvironment()
	if err != nil {
		return err
	}
	at, err := hub.Open(hub.FromEnvironment(os.Stderr), os.Getenv("GITHUB_REPOSITORY"))
	if err != nil {
		return err
	}
	report, err := failure.Issue{Hub: at, Run: run, Log: os.Stderr}.Settle(ctx)
	if err == nil {
		report.Print(os.Stdout)
	}
	return errors.Join(err, failure.KeepSchedule(ctx, at, os.Getenv("GITHUB_WORKFLOW_REF")))
}
