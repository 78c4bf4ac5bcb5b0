//go:build mage

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/nightly"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
)

// Source makes upstream's source ready.
type Source mg.Namespace

// Fetch downloads, verifies, patches and vendors the source.
func (Source) Fetch(ctx context.Context, version, source *string, unchecked *bool) error {
	return checkout().ForEach(options(version, nil, source, unchecked), func(o pipeline.Options) error {
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

// Adopt finds what a person must judge of a new version, and writes it into source.yaml.
//
// Flags: -version=1.15.3, or several with commas, of SPIRE unless -source says otherwise
// (or SPIRE_DUE, the plan's list as JSON). It prints the text of a pull request. With -pullrequest it changes no file here, and opens that pull
// request, or brings it up to date, if anything is to be judged: in a workflow the
// outputs of its step are the versions that can go on, and those that wait for a person.
// For that the token in GITHUB_TOKEN or GH_TOKEN needs contents: write and
// pull-requests: write on -repository=owner/name (GITHUB_REPOSITORY).
func (Source) Adopt(ctx context.Context, version, source, repository *string, pullRequest *bool) error {
	due, err := nightly.Adoptable(version, flag(source, ""), os.Getenv("SPIRE_DUE"))
	if err != nil {
		return err
	}
	a := nightly.Adopter{
		Pipeline: checkout(), Hub: hub.FromEnvironment(os.Stderr), Server: os.Getenv("SPIRE_UPSTREAM"), Arches: allArches, Out: os.Stdout,
	}
	if pullRequest != nil && *pullRequest {
		return a.Ask(ctx, due, flag(repository, "GITHUB_REPOSITORY"))
	}
	return a.Write(ctx, due)
}
