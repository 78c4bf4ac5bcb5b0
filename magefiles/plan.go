//go:build mage

package main

import (
	"context"
	"errors"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/nightly"
)

// Plan says which of upstream's versions are to be built and released, and why.
//
// It also says which minor versions upstream supports, by its tags, where a source.yaml
// says otherwise, which versions wait for a person, and which sources nothing is built of,
// and why.
//
// Flags: -source=spire, one source only (SPIRE_SOURCE); -json, as one line with a
// workflow's matrix; -minors=2, how many of the newest minor versions are kept up;
// -floor=1.14.0, the oldest version of SPIRE that is ever due; -version=1.13.3, to plan
// this one alone, even if it is released, of SPIRE unless -source says otherwise; -arch;
// -repository=owner/name, where the releases are (GITHUB_REPOSITORY);
// -upstream=https://github.com, the server that has upstream's repositories
// (SPIRE_UPSTREAM), in the place of their own. Reads GITHUB_TOKEN or GH_TOKEN, without
// which no draft is seen. A tag that is not what it was ends it with an error, when all
// else has been said; so does a source that cannot be planned.
func Plan(ctx context.Context, json *bool, minors *int, source, floor, version, arch, repository, upstream *string) error {
	plans, err := nightly.Planner{
		Pipeline: checkout(), Hub: hub.FromEnvironment(os.Stderr),
		Floor: flag(floor, "SPIRE_FLOOR"), Only: flag(version, "SPIRE_VERSION"), Arches: list(arch, "SPIRE_ARCH"), Minors: minors,
		Repository: flag(repository, "GITHUB_REPOSITORY"), Server: flag(upstream, "SPIRE_UPSTREAM"),
	}.Plans(ctx, flag(source, "SPIRE_SOURCE"))
	if len(plans) == 0 {
		return err
	}
	return errors.Join(nightly.Print(os.Stdout, plans, json != nil && *json), plans.Err(), err)
}
