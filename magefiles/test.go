//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/predecessor"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/scenario"
)

// Test runs tests.
type Test mg.Namespace

// Unit runs the tests of the Go code.
func (Test) Unit(ctx context.Context) error {
	return tests().Unit(ctx)
}

// Rebuild builds the packages again from their source packages, and compares.
//
// In containers without a network, at every place of tests/rebuild.yaml; each
// compiles everything, which takes as long as a first build. Any difference
// that is not listed there with its reason fails.
func (Test) Rebuild(ctx context.Context, version, arch, source *string) error {
	return tests().Rebuild(ctx, options(version, arch, source, nil))
}

// Distros installs the packages on real distributions and uses them there.
//
// -row=debian-12 and -scenario=works (each or several, separated by commas) take
// less than all that tests/distros.yaml and tests/scenarios have.
func (Test) Distros(ctx context.Context, version, arch, source, row, scenario *string) error {
	return tests().Distributions(ctx, options(version, arch, source, nil), list(row, "SPIRE_TEST_ROW"), list(scenario, "SPIRE_TEST_SCENARIO"))
}

// Matrix prints the places of tests/distros.yaml, as a workflow's matrix.
//
// In a workflow it is also the output `matrix` of its step; `builds` is the matrix of
// the architectures that a release has, `machines` that of those which there are machines
// of, and `arches` the list of all for SPIRE_ARCH.
func (Test) Matrix() error {
	matrix, err := host.Matrix(checkout().Root)
	if err != nil {
		return err
	}
	builds, err := architecture.Matrix(architecture.All())
	if err != nil {
		return err
	}
	machines, err := architecture.Matrix(architecture.Native())
	if err != nil {
		return err
	}
	fmt.Println(matrix)
	return stepfile.SetOutputs("matrix=" + matrix + "\nbuilds=" + builds + "\nmachines=" + machines + "\narches=" + strings.Join(allArches, ",") + "\n")
}

// Pins writes into tests/distros.yaml which images the references of its rows have now.
//
// Each is pulled, by Docker. Nothing is written unless all of them could be had.
func (Test) Pins(ctx context.Context) error { return host.Pins(ctx, tests().Checkout) }

// Ran fails where a row that blocks a release was not really tested.
//
// -results=DIR has the reports of the tests, one a folder. Where nothing ran, as an
// image could not be had, nothing is known of the packages.
func (Test) Ran(results *string) error {
	if results == nil {
		return errors.New("which reports? Give -results=DIR")
	}
	return scenario.Ran(checkout().Root, *results)
}

// Earlier makes the versions that the one under test is upgraded from.
//
// What is published at SPIRE_REPO_URL is taken from there, by the keys of the checkout;
// the rest is built. The tests do so themselves; this is for a machine that builds for
// others.
func (Test) Earlier(ctx context.Context, version, arch, source *string) error {
	return predecessor.Versions{Checkout: tests().Checkout, Options: options(version, arch, source, nil)}.Make(ctx)
}

// Workflows plays the workflows' own files, as GitHub's runners do, with what was built.
//
// act runs all jobs of nightly, version, publish and repo-refresh in containers of a
// Debian 13, as the user runner, with stand-ins of the actions and of GitHub. It says
// what is otherwise than there, and plants faults, which it must find.
func (Test) Workflows(ctx context.Context, version *string) error {
	return tests().Workflows(ctx, options(version, nil, nil, nil))
}

// Store publishes to a real service of object storage, while real clients read there.
//
// versitygw, which is compiled for it (minutes, the first time), gets one publication after
// the other; apt, dnf and zypper, one place of each, read it SPIRE_TEST_UPDATES times. Before,
// publications are cut off at each of their requests, and two run at once.
func (Test) Store(ctx context.Context, version *string) error {
	return tests().Store(ctx, options(version, nil, nil, nil))
}

// Self tests the tests: it plants faults in packages, which they must find.
func (Test) Self(ctx context.Context, version *string) error {
	return tests().Self(ctx, options(version, nil, nil, nil))
}

// Vm installs the packages on a whole machine in QEMU, and uses them there.
//
// With a kernel, a network card, a TPM and a reboot of its own. Takes some
// minutes by software; KVM is used where it works.
func (Test) Vm(ctx context.Context, version *string) error { //nolint:revive // VM would be test:vM
	return tests().Machine(ctx, options(version, nil, nil, nil))
}

// All builds the packages and runs every test there is.
//
// What cannot run on this machine is skipped aloud, with the reason, and
// counted in the closing line.
func (Test) All(ctx context.Context, version, arch *string) error {
	return tests().All(ctx, options(version, arch, nil, nil))
}
