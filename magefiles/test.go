//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"
)

// Test runs tests.
type Test mg.Namespace

// Unit runs the tests of the Go code.
func (Test) Unit(ctx context.Context) error {
	return tests().Unit(ctx)
}

// All builds the packages and runs every test there is.
//
// What cannot run on this machine is skipped aloud, with the reason, and
// counted in the closing line.
func (Test) All(ctx context.Context, version, arch *string) error {
	return tests().All(ctx, options(version, arch, nil, nil))
}
