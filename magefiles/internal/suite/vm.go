package suite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/vm"
)

// machineScenarios are played on one machine in this order: the second goes on
// where the first ends.
var machineScenarios = []string{"service", "tpm"}

// Machine builds the packages and uses them on a whole machine.
func (s Suite) Machine(ctx context.Context, o pipeline.Options) error {
	built, err := s.build(ctx, o)
	if err != nil {
		return err
	}
	defer built.closeFixture()
	return s.runAll(ctx, []tally.Check{{Name: "machine", Run: built.machine}})
}

// machineParts makes the roots that the machine is made of beside other checks:
// it is the work of one processor. What goes wrong is for the check of the machine
// to count, which asks for them again.
func (b built) machineParts(ctx context.Context, _ *tally.Tally) error {
	if fixture, err := b.machineStage(ctx); err == nil {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		_, _ = fixture.machine(ctx)
	}
	return tally.ErrCounted
}

// machineStage is the fixture, where this machine and the packages are of the
// architecture that the machine is. It is made for all checks, so ctx is theirs.
func (b built) machineStage(ctx context.Context) (*fixture, error) {
	if err := fixtureTools(); err != nil {
		return nil, err
	}
	if runtime.GOARCH != "amd64" || !slices.Contains(b.options.Arches, "amd64") {
		return nil, tally.Skip("the machine is an amd64 one, and so must be the packages and what runs this")
	}
	return b.fixture(ctx)
}

// machine installs the packages from a signed repository on a whole machine,
// and counts each of its scenarios.
func (b built) machine(ctx context.Context, t *tally.Tally) error {
	fixture, err := b.machineStage(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	machine, err := fixture.machine(ctx)
	if errors.Is(err, distro.ErrSkip) {
		return tally.Skip(err.Error())
	}
	if err != nil {
		return err
	}
	results, err := machine.Run(ctx, machineScenarios)
	if err != nil {
		return err
	}
	countMachine(t, machine.Reports, results)
	return tally.ErrCounted
}

func countMachine(t *tally.Tally, kept string, results []vm.Result) {
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

// machine is a machine that has the fixture's repository, made of roots as the
// distributions' are.
func (s *fixture) machine(ctx context.Context) (vm.Machine, error) {
	host, err := s.hostOf(ctx, mainRepository)
	if err != nil {
		return vm.Machine{}, err
	}
	owner, err := host.Claim(ctx)
	if err != nil {
		return vm.Machine{}, err
	}
	tools, err := host.Image(ctx, "machine-tools", distro.Image{Suite: vm.Suite, Packages: vm.ToolPackages()})
	if err != nil {
		return vm.Machine{}, err
	}
	root, err := host.Tarball(ctx, distro.Image{Suite: vm.Suite, Packages: vm.RootPackages()})
	if err != nil {
		return vm.Machine{}, fmt.Errorf("making the root of the machine: %w", err)
	}
	reports, err := filepath.Abs(filepath.Join(host.Reports, "vm"))
	return vm.Machine{
		Tools: tools, Root: root, Owner: owner, Cache: host.Cache, Reports: reports,
		Driver: filepath.Join(s.Root, "tests", "vm", "driver"), Scenarios: filepath.Join(s.Root, "tests", "vm"),
		Library: host.Scenarios + "/lib", Folders: host.Folders, Web: host.Web, Vars: host.Vars, Log: s.Log,
	}, err
}
