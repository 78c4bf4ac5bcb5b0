//go:build mage

package main

import (
	"context"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/incident"
)

// Outcome opens, brings up to date or closes the issue that says why a workflow's runs fail.
//
// It is the last job of the workflow, and reads what a runner sets, and SPIRE_JOBS,
// GitHub's needs context as JSON, and SPIRE_ALARMS, a JSON list of the plan's alarms.
// The token in GITHUB_TOKEN or GH_TOKEN needs issues: write and actions: read. It
// fails where the issue could not be settled, and not because the run has failed.
func Outcome(ctx context.Context) error {
	run, err := incident.FromEnvironment()
	if err != nil {
		return err
	}
	at, err := hub.Open(hub.FromEnvironment(os.Stderr), os.Getenv("GITHUB_REPOSITORY"))
	if err != nil {
		return err
	}
	report, err := incident.Incident{Hub: at, Run: run, Log: os.Stderr}.Settle(ctx)
	if err == nil {
		report.Print(os.Stdout)
	}
	return err
}
