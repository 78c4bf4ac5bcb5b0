//go:build mage

package main

import (
	"context"
	"errors"
	"os"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/release"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/report"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// Release builds, signs, and publishes the files of a version as a release on GitHub.
//
// Flags: those of sign; -repository=owner/name (GITHUB_REPOSITORY); -results=DIR,
// with the reports of the tests, one a folder, for the notes; -dryrun, to say what
// would be done and change nothing there. The token in GITHUB_TOKEN or GH_TOKEN needs contents: write.
// Running it again finishes what was cut, and changes nothing that is done.
func Release(ctx context.Context, version, arch, source, repository, results *string, dryRun *bool) error {
	dry := dryRun != nil && *dryRun
	if err := checkout().MayRelease(); err != nil && !dry {
		return err
	}
	to, err := destination(flag(repository, "GITHUB_REPOSITORY"), dry)
	if err != nil {
		return err
	}
	commit, err := release.Commit(ctx, checkout().Root)
	if err != nil {
		return err
	}
	r := release.Release{Hub: to, Commit: commit, Locks: checkout().Dist, Log: os.Stderr, DryRun: dry}
	if results != nil {
		if r.Notes.Results, err = tested(*results); err != nil {
			return err
		}
	}
	return checkout().ForEach(options(version, arch, source, nil), func(o pipeline.Options) error { return signedRelease(ctx, r, o) })
}

// destination is the repository to release in.
func destination(repository string, dry bool) (*hub.Repository, error) {
	settings := hub.FromEnvironment(os.Stderr)
	if settings.Token == "" && !dry {
		return nil, errors.New("nothing can be released without a token: set GITHUB_TOKEN to one with contents: write, or look with -dryrun")
	}
	return hub.Open(settings, repository)
}

func signedRelease(ctx context.Context, r release.Release, o pipeline.Options) error {
	result, err := toShip(ctx, o)
	if err != nil {
		return err
	}
	if r, err = checkout().Described(ctx, r, o.Source, result); err != nil {
		return err
	}
	done, err := r.Publish(ctx)
	if err == nil {
		done.Print(os.Stdout)
	}
	return err
}

// toShip makes the signed folder. Nobody but upstream is spoken to before the key
// is given up again: see opener.
func toShip(ctx context.Context, o pipeline.Options) (result pipeline.Result, err error) {
	err = signed(ctx, o, true, func(made pipeline.Result, _ *sign.Signer) error {
		result = made
		return nil
	})
	return result, err
}

// tested is what the tests of several machines found, as one table.
func tested(dir string) (string, error) {
	run, err := report.Join(dir)
	if err != nil {
		return "", err
	}
	return report.Markdown(run)
}
