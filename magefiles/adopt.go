//go:build mage

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/release"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Adopt finds what a person must judge of a new version, and writes it into source.yaml.
//
// Flags: -version=1.15.3, or several with commas, of SPIRE unless -source says otherwise
// (or SPIRE_DUE, the plan's list as JSON). It prints the text of a pull request. With -pullrequest it changes no file here, and opens that pull
// request, or brings it up to date, if anything is to be judged: in a workflow the
// outputs of its step are the versions that can go on, and those that wait for a person.
// For that the token in GITHUB_TOKEN or GH_TOKEN needs contents: write and
// pull-requests: write on -repository=owner/name (GITHUB_REPOSITORY).
func (Source) Adopt(ctx context.Context, version, source, repository *string, pullRequest *bool) error {
	versions, err := adoptable(version, flag(source, ""))
	if err != nil {
		return err
	}
	var a adopter
	if pullRequest == nil || !*pullRequest {
		return a.all(ctx, versions, write)
	}
	settings := hub.FromEnvironment(os.Stderr)
	if settings.Token == "" {
		return errors.New("no pull request can be opened without a token: set GITHUB_TOKEN to one with contents: write and pull-requests: write, or leave -pullrequest out")
	}
	if a.ours, err = hub.Open(settings, flag(repository, "GITHUB_REPOSITORY")); err != nil {
		return err
	}
	if a.base, err = release.Commit(ctx, checkout().Root); err != nil {
		return err
	}
	err = a.all(ctx, versions, a.ask)
	return errors.Join(err, a.setOutputs())
}

// adoptable are the versions that are asked for.
func adoptable(given *string, source string) (versions []upstream.Due, err error) {
	switch due := os.Getenv("SPIRE_DUE"); {
	case given != nil:
		for _, version := range strings.Split(*given, ",") {
			versions = append(versions, upstream.Due{Source: source, Version: version})
		}
	case due != "":
		if err := json.Unmarshal([]byte(due), &versions); err != nil {
			return nil, fmt.Errorf("SPIRE_DUE is not a list of versions as JSON (%w): set it to the plan's versions, or say -version=X.Y.Z", err)
		}
	default:
		return nil, errors.New("which version is to be adopted? Say -version=X.Y.Z")
	}
	return versions, nil
}

// adopter adopts versions.
type adopter struct {
	ours *hub.Repository
	base string // the checkout's commit
	goOn []upstream.Due
	wait []string
}

// all does something with each version; one that fails keeps no other from it.
func (a *adopter) all(ctx context.Context, versions []upstream.Due, do func(context.Context, pipeline.Adopted) error) error {
	var errs []error
	for _, due := range versions {
		adopted, err := adopt(ctx, due)
		if err == nil {
			err = do(ctx, adopted)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("adopting %s: %w", strings.TrimSpace(due.Source+" "+due.Version), err))
		}
	}
	return errors.Join(errs...)
}

func adopt(ctx context.Context, due upstream.Due) (pipeline.Adopted, error) {
	theirs, err := upstreamHub(due.Source)
	if err != nil {
		return pipeline.Adopted{}, err
	}
	return checkout().Adopt(ctx, theirs, due.Source, due.Version, allArches)
}

// write changes the definition, and says what is left to do.
func write(_ context.Context, adopted pipeline.Adopted) error {
	fmt.Print(adopted.Findings.Markdown())
	return artifact.WriteBytes(adopted.File, 0o644, adopted.Content)
}

// ask asks people, if anything is to be judged.
func (a *adopter) ask(ctx context.Context, adopted pipeline.Adopted) error {
	found := adopted.Findings
	if !found.Waits() {
		fmt.Printf("%s: nothing of it waits for a person\n", found.Version)
		a.goOn = append(a.goOn, upstream.Due{Source: found.Source.Name, Version: found.Version})
		return nil
	}
	file, err := filepath.Rel(checkout().Root, adopted.File)
	if err != nil {
		return err
	}
	pull := adoption.Pull{Hub: a.ours, Findings: found, Base: a.base, File: filepath.ToSlash(file), Content: adopted.Content, Log: os.Stderr}
	report, err := pull.Open(ctx)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s waits for a person: %s (%s)", found.Version, report.URL, report.Did)
	fmt.Println(line)
	a.wait = append(a.wait, line)
	return stepfile.AddSummary(found.Markdown())
}

// setOutputs says to the workflow which versions go on, and why others do not.
func (a *adopter) setOutputs() error {
	goOn, err := json.Marshal(append([]upstream.Due{}, a.goOn...)) // an empty list is not null
	if err != nil {
		return err
	}
	wait, err := json.Marshal(append([]string{}, a.wait...))
	if err != nil {
		return err
	}
	return stepfile.SetOutputs(fmt.Sprintf("versions=%s\nwaiting=%s\n", goOn, wait))
}
