//go:build mage

// Targets that build, check and release SPIRE's packages.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Setup installs the system tools that the other targets need.
//
// It uses apt-get, dnf or zypper, as root or by sudo, says what it installs,
// and starts Docker's daemon where none answers. With -arch=amd64,arm64 also
// what building for the other architecture needs.
func Setup(ctx context.Context, arch *string) error {
	return tool.Installer{Log: os.Stderr, In: os.Stdin}.Install(ctx, arches(arch))
}

// Build makes all packages into dist/.
//
// Flags: -version=1.13.0 (or SPIRE_VERSION), -arch=amd64,arm64 (SPIRE_ARCH),
// -source=DIR for a local source directory (SPIRE_SOURCE), and -unchecked to go
// on without the checksum database (SPIRE_UNCHECKED=1); packages of the last two
// are marked as unverified.
func Build(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked))
}

// Compile makes the binaries only, with the flags of build.
func Compile(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	binaries, err := checkout().Compile(ctx, options(version, arch, source, unchecked))
	for _, binary := range binaries {
		fmt.Printf("%s  %s\n", binary.SHA256, binary.Path)
	}
	return err
}

// List shows the files that build would make, and which of them are there.
func List(version, arch *string) error {
	return checkout().List(options(version, arch, nil, nil), os.Stdout)
}

// Check runs the checks that need no build: definitions, vet, lint, units.
func Check(ctx context.Context) error {
	return tests().Static(ctx)
}

// Clean removes dist/, with all that was built and kept for later builds.
func Clean(ctx context.Context) error {
	return checkout().Clean(ctx)
}
