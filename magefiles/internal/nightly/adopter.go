package nightly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/release"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Adoptable are the versions of a source that are to be adopted: those given, separated
// by commas, or else due, a plan's list as JSON.
func Adoptable(given *string, source, due string) (versions []upstream.Due, err error) {
	switch {
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

// Adopter adopts versions.
type Adopter struct {
	Pipeline pipeline.Pipeline
	Hub      hub.Settings
	Server   string   // see Planner
	Arches   []string // for which programs are looked at
	Out      io.Writer

	ours *hub.Repository
	base string // the checkout's commit
	goOn []upstream.Due
	wait []string
}

// Write changes the definitions, and says what is left to do.
func (a *Adopter) Write(ctx context.Context, versions []upstream.Due) error {
	return a.all(ctx, versions, func(_ context.Context, adopted Adopted) error {
		if adopted.File == "" {
			return fmt.Errorf("it is of this repository: write its version and time into srpm/%s/source.yaml, there is nothing to find out", adopted.Findings.Source.Name)
		}
		fmt.Fprint(a.Out, adopted.Findings.Markdown())
		return artifact.WriteBytes(adopted.File, 0o644, adopted.Content)
	})
}

// Ask changes no file, and asks people by pull requests in a repository, owner/name. In a
// workflow it sets the outputs of its step: the versions that can go on, and those that
// wait for a person.
func (a *Adopter) Ask(ctx context.Context, versions []upstream.Due, repository string) (err error) {
	if a.Hub.Token == "" {
		return errors.New("no pull request can be opened without a token: set GITHUB_TOKEN to one with contents: write and pull-requests: write, or leave -pullrequest out")
	}
	if a.ours, err = hub.Open(a.Hub, repository); err != nil {
		return err
	}
	if a.base, err = release.Commit(ctx, a.Pipeline.Root); err != nil {
		return err
	}
	err = a.all(ctx, versions, a.ask)
	return errors.Join(err, a.setOutputs())
}

// all does something with each version; one that fails keeps no other from it.
func (a *Adopter) all(ctx context.Context, versions []upstream.Due, do func(context.Context, Adopted) error) error {
	var errs []error
	for _, due := range versions {
		adopted, err := a.adopt(ctx, due)
		if err == nil {
			err = do(ctx, adopted)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("adopting %s: %w", strings.TrimSpace(due.Source+" "+due.Version), err))
		}
	}
	return errors.Join(errs...)
}

func (a *Adopter) adopt(ctx context.Context, due upstream.Due) (Adopted, error) {
	theirs, err := a.Pipeline.Upstream(a.Hub, due.Source, a.Server)
	if err != nil {
		return Adopted{}, err
	}
	if theirs == nil { // this repository's own: who has changed its version has judged it
		return Adopted{Findings: adoption.Findings{Source: pkgdef.Source{Name: due.Source}, Version: due.Version}}, nil
	}
	return Adopt(ctx, a.Pipeline, theirs, due, a.Arches)
}

// ask asks people, if anything is to be judged.
func (a *Adopter) ask(ctx context.Context, adopted Adopted) error {
	found := adopted.Findings
	if !found.Waits() {
		fmt.Fprintf(a.Out, "%s: nothing of it waits for a person\n", found.Version)
		a.goOn = append(a.goOn, upstream.Due{Source: found.Source.Name, Version: found.Version})
		return nil
	}
	file, err := filepath.Rel(a.Pipeline.Root, adopted.File)
	if err != nil {
		return err
	}
	pull := adoption.Pull{Hub: a.ours, Findings: found, Base: a.base, File: filepath.ToSlash(file), Content: adopted.Content, Log: a.Pipeline.Log}
	report, err := pull.Open(ctx)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s waits for a person: %s (%s)", found.Version, report.URL, report.Did)
	fmt.Fprintln(a.Out, line)
	a.wait = append(a.wait, line)
	return stepfile.AddSummary(found.Markdown())
}

// setOutputs says to the workflow which versions go on, and why others do not.
func (a *Adopter) setOutputs() error {
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
