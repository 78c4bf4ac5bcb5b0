//go:build mage

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/lint"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Setup installs the system tools that the other targets need.
type Setup mg.Namespace

// Build installs the system tools that a build needs, and no more.
//
// It uses apt-get, dnf or zypper, as root or by sudo, and says what it installs.
// With -arch=amd64,arm64 (SPIRE_SETUP_ARCH) also what runs the other architecture's
// programs; it does not read SPIRE_ARCH.
func (Setup) Build(ctx context.Context, arch *string) error {
	return setup(ctx, tool.Build, arch)
}

// Test installs the system tools that the tests need, those of build and release too.
//
// As setup:build does. What the distribution does not have is left out: the checks
// that need it are skipped. It starts Docker's daemon where none answers. While
// the packages come, the linter is compiled for later.
func (Setup) Test(ctx context.Context, arch *string) error {
	return setup(ctx, tool.Test, arch)
}

// Release installs the system tools that signing and publishing need, and no compiler.
func (Setup) Release(ctx context.Context) error {
	return setup(ctx, tool.Release, nil)
}

// setup installs tools for a use. The machine is what it is told by its own flag:
// SPIRE_ARCH may name what other machines have built.
func setup(ctx context.Context, use tool.Use, arch *string) error {
	arches := list(arch, "SPIRE_SETUP_ARCH")
	if named := os.Getenv("SPIRE_ARCH"); named != "" && len(arches) == 0 && use != tool.Release {
		fmt.Fprintf(os.Stderr, "setup: SPIRE_ARCH says what to build, not what to install: for what runs the programs, give -arch=%s\n", named)
	}
	installer := tool.Installer{Log: os.Stderr, In: os.Stdin}
	if use == tool.Test {
		installer.Meanwhile = func(ctx context.Context) { lint.Warm(ctx, tests().Checkout) }
	}
	return installer.Install(ctx, use, arches)
}
