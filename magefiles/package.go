//go:build mage

package main

import (
	"context"

	"github.com/magefile/mage/mg"
)

// Package makes packages of one format.
type Package mg.Namespace

// Deb makes the Debian packages only, with the flags of build.
func (Package) Deb(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked), "deb")
}

// Rpm makes the RPM packages only, with the flags of build.
func (Package) Rpm(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked), "rpm")
}

// Apk makes the packages for Alpine and Wolfi only, with the flags of build.
func (Package) Apk(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked), "apk")
}
