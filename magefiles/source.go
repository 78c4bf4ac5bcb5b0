//go:build mage

package main

import (
	"context"
	"fmt"

	"github.com/magefile/mage/mg"
)

// Source makes upstream's source ready.
type Source mg.Namespace

// Fetch downloads, verifies, patches and vendors the source.
func (Source) Fetch(ctx context.Context, version, source *string, unchecked *bool) error {
	tree, err := checkout().Fetch(ctx, options(version, nil, source, unchecked))
	if err == nil {
		fmt.Printf("%s %s commit %s of %s\n%s\n", tree.Module, tree.Sum, tree.Commit, tree.Time, tree.Dir)
	}
	return err
}
