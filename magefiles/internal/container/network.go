package container

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Network is what containers have among themselves, and nobody else: nothing that is
// elsewhere can be reached from there.
type Network struct{ Name, Label string }

// Create makes the network. Removing it is up to its owner and, after a kill, to the
// next run.
func (n Network) Create() run.Command {
	return docker("network", "create", "--internal", "--label", n.Label, n.Name)
}

// Discard removes the network, when its containers are gone, also when the context is
// the reason to stop. That there is none is no error.
func (n Network) Discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StepTime)
	defer cancel()
	err := docker("network", "rm", n.Name).Run(ctx)
	if err != nil && !strings.Contains(err.Error(), "not found") {
		return fmt.Errorf("removing the network: %w", err)
	}
	return nil
}

// OwnedNetworks lists the networks with a label, as Owned does containers.
func OwnedNetworks(label string) run.Command {
	return docker("network", "ls", "--filter", "label="+label, "--format", fmt.Sprintf(ownedFormat, "Name"))
}

// clearNetworks removes the networks of runs that were killed.
func (d *Driver) clearNetworks(ctx context.Context) error {
	list, err := OwnedNetworks(ownerLabel).Output(ctx)
	if err != nil {
		return fmt.Errorf("looking for networks of killed runs: %w", err)
	}
	var errs []error
	for _, name := range orphans(proc, list) {
		d.Say("removing network " + name + " of a killed run")
		errs = append(errs, Network{Name: name}.Discard(ctx))
	}
	return errors.Join(errs...)
}
