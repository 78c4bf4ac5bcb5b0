//go:build mage

package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
)

// Source makes upstream's source ready.
type Source mg.Namespace

// Fetch downloads, verifies, patches and vendors the source.
func (Source) Fetch(ctx context.Context, version, source *string, unchecked *bool) error {
	return each(options(version, nil, source, unchecked), func(o pipeline.Options) error {
		tree, err := checkout().Fetch(ctx, o)
		if err == nil {
			fmt.Printf("%s %s commit %s (by %s) of %s\n%s\n", tree.Module, tree.Sum, tree.Commit, cmp.Or(tree.CommitBy, "nobody"), tree.Time, tree.Dir)
		}
		return err
	})
}

// Srpm makes the source rpm only, with the flags of build.
//
// It compiles too: man pages and license texts are made from the programs.
func (Source) Srpm(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked), srcpkg.SRPM)
}

// Dsc makes the Debian source package only, with the flags of build.
//
// It compiles too: man pages and license texts are made from the programs.
func (Source) Dsc(ctx context.Context, version, arch, source *string, unchecked *bool) error {
	return build(ctx, options(version, arch, source, unchecked), srcpkg.DSC)
}
