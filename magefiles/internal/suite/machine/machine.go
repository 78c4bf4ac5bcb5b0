// Package machine uses the packages on a whole machine, with a kernel, a TPM and a reboot of
// its own.
package machine

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/vm"
)

// scenarios are played on one machine in this order: the last goes on where the one
// before ends.
var scenarios = []string{"zerotouch", "service", "tpm"}

// elsewhere are the packages of a server that the machine reaches, and of what invites to
// it.
var elsewhere = []string{"spire-server", "spire-config"}

// Prepare makes the roots that the machine is made of beside other checks:
// it is the work of one processor. What goes wrong is for the check of the machine
// to count, which asks for them again.
func Prepare(ctx context.Context, _ *tally.Tally, shared *fixture.Shared) error {
	if made, err := open(ctx, shared); err == nil {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		_, _ = assemble(ctx, made)
	}
	return tally.ErrCounted
}

// open gives the fixture, where this machine and the packages are of the
// architecture that the machine is. It is made for all checks, so ctx is theirs.
func open(ctx context.Context, shared *fixture.Shared) (*fixture.Fixture, error) {
	if err := host.Need(); err != nil {
		return nil, err
	}
	if runtime.GOARCH != "amd64" || !slices.Contains(shared.Options.Arches, "amd64") {
		return nil, tally.Skip("the machine is an amd64 one, and so must be the packages and what runs this")
	}
	return shared.Open(ctx)
}

// Check installs the packages from a signed repository on a whole machine,
// and counts each of its scenarios.
func Check(ctx context.Context, t *tally.Tally, shared *fixture.Shared) error {
	made, err := open(ctx, shared)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	machine, err := assemble(ctx, made)
	if err != nil {
		return host.Skipped(err)
	}
	if shared.Fewer {
		machine.Vars = append(machine.Vars, "FEWER=1")
	}
	results, err := machine.Run(ctx, scenarios)
	if err != nil {
		return err
	}
	count(t, machine.Reports, results)
	return tally.ErrCounted
}

func count(t *tally.Tally, kept string, results []vm.Result) {
	for _, result := range results {
		var err error
		switch result.Status {
		case vm.Skipped:
			err = tally.Skip(result.Reason)
		case vm.Failed:
			err = fmt.Errorf("%s (see %s)", result.Reason, kept)
		}
		t.Count("machine "+result.Scenario, err, result.Took)
	}
}

// assemble gives a machine that has the fixture's repository, made of roots as the
// distributions' are.
func assemble(ctx context.Context, s *fixture.Fixture) (vm.Machine, error) {
	h, err := s.Host(ctx, fixture.Main)
	if err != nil {
		return vm.Machine{}, err
	}
	owner, err := h.Claim(ctx)
	if err != nil {
		return vm.Machine{}, err
	}
	tools, err := h.Image(ctx, "machine-tools", matrix.Image{Suite: vm.Suite, Packages: vm.ToolPackages()})
	if err != nil {
		return vm.Machine{}, err
	}
	root, err := h.Tarball(ctx, matrix.Image{Suite: vm.Suite, Packages: vm.RootPackages()})
	if err != nil {
		return vm.Machine{}, fmt.Errorf("making the root of the machine: %w", err)
	}
	reports, err := filepath.Abs(filepath.Join(h.Reports, "vm"))
	if err != nil {
		return vm.Machine{}, err
	}
	server, err := s.Debs(ctx, elsewhere...)
	return vm.Machine{
		Tools: tools, Root: root, Owner: owner, Cache: h.Cache, Reports: reports,
		Driver: filepath.Join(s.Root, "tests", "vm", "driver"), Scenarios: filepath.Join(s.Root, "tests", "vm"),
		Library: h.Scenarios + "/lib", Folders: h.Folders, Web: h.Web, Elsewhere: server, Vars: h.Vars, Log: s.Log,
	}, err
}
