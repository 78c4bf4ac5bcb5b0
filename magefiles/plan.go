//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Plan says which of upstream's versions are to be built and released, and why.
//
// It also says which minor versions upstream supports, by its tags, where
// srpm/spire/source.yaml says otherwise, and which versions wait for a person.
//
// Flags: -json, as one line with a workflow's matrix; -minors=2, how many of the
// newest minor versions are kept up; -floor=1.14.0, the oldest version that is ever
// due; -version=1.13.3, to plan this one alone, even if it is released; -arch;
// -repository=owner/name, where the releases are (GITHUB_REPOSITORY);
// -upstream=https://github.com/spiffe/spire (SPIRE_UPSTREAM). Reads GITHUB_TOKEN or
// GH_TOKEN, without which no draft is seen. A tag that is not what it was ends it
// with an error, when all else has been said.
func Plan(ctx context.Context, json *bool, minors *int, floor, version, arch, repository, upstream *string) error {
	source, err := pkgdef.LoadSource(checkout().Root, "spire")
	if err != nil {
		return err
	}
	rules, err := planRules(source, minors, flag(floor, "SPIRE_FLOOR"), flag(arch, "SPIRE_ARCH"))
	if err != nil {
		return err
	}
	if rules.Only, err = only(flag(version, "SPIRE_VERSION")); err != nil {
		return err
	}
	if from := flag(upstream, "SPIRE_UPSTREAM"); from != "" {
		source.Repository = from
	}
	plan, err := makePlan(ctx, source, flag(repository, "GITHUB_REPOSITORY"), rules)
	if err != nil {
		return err
	}
	return errors.Join(printPlan(plan, json != nil && *json), plan.Err())
}

// allArches are the architectures that a release has.
var allArches = []string{"amd64", "arm64"}

func planRules(source pkgdef.Source, minors *int, floor, arch string) (rules upstream.Rules, err error) {
	rules = upstream.Rules{Minors: upstream.SupportedMinors, Release: source.Release, Arches: allArches, Supported: source.Supported}
	if minors != nil {
		rules.Minors = *minors
	}
	if rules.Minors < 1 {
		return rules, fmt.Errorf("-minors=%d is not 1 or more", rules.Minors)
	}
	if floor != "" {
		if rules.Floor, err = upstream.ParseVersion(floor); err != nil {
			return rules, fmt.Errorf("-floor: %w", err)
		}
	}
	if arch != "" {
		rules.Arches = strings.Split(arch, ",")
	}
	rules.Expected, err = shipped(source, rules.Arches)
	return rules, err
}

// only is the one version that a person asks for; none where the text is empty.
func only(version string) (string, error) {
	if version == "" {
		return "", nil
	}
	parsed, err := upstream.ParseVersion(version)
	if err != nil {
		return "", fmt.Errorf("-version: %w", err)
	}
	return parsed.String(), nil
}

// makePlan plans twice: for what is due the first time, the module proxy is asked
// of which commit it is.
func makePlan(ctx context.Context, source pkgdef.Source, repository string, rules upstream.Rules) (upstream.Plan, error) {
	settings := hub.FromEnvironment(os.Stderr)
	ours, err := hub.Open(settings, repository)
	if err != nil {
		return upstream.Plan{}, err
	}
	theirs, err := hub.OpenPage(settings, source.Repository)
	if err != nil {
		return upstream.Plan{}, err
	}
	facts, err := upstream.Look(ctx, theirs, ours, rules)
	if err != nil {
		return upstream.Plan{}, err
	}
	for _, version := range slices.Sorted(maps.Keys(source.Releases)) {
		facts.Known = append(facts.Known, upstream.Known{Version: version, Commit: source.Releases[version].Commit, By: "srpm/spire/source.yaml"})
	}
	plan, err := upstream.Make(facts, rules)
	if err != nil {
		return upstream.Plan{}, err
	}
	tool, err := gotool.Find(ctx, source.Toolchain.Version)
	if err != nil {
		return upstream.Plan{}, err
	}
	known, err := upstream.Proxy(ctx, tool, source.Module, plan.Versions())
	if err != nil {
		return upstream.Plan{}, err
	}
	facts.Known = append(facts.Known, known...)
	if plan, err = upstream.Make(facts, rules); err == nil {
		plan.Notes = append(plan.Notes, adoption.Waiting(ctx, ours, plan.Versions())...)
	}
	return plan, err
}

// printPlan prints; in a workflow, it also sets the outputs of its step.
func printPlan(plan upstream.Plan, json bool) error {
	outputs, err := plan.Outputs()
	if err != nil {
		return err
	}
	if err := stepfile.SetOutputs(outputs); err != nil {
		return err
	}
	if !json {
		return plan.Print(os.Stdout)
	}
	line, err := plan.JSON()
	if err == nil {
		fmt.Printf("%s\n", line)
	}
	return err
}

// shipped gives the names of all that the release of a version has. They are
// those of the version that is built by default, with another version and number.
func shipped(source pkgdef.Source, arches []string) (func(version string, release int) []string, error) {
	names, err := checkout().Made(pipeline.Options{Arches: arches})
	if err != nil {
		return nil, err
	}
	full := fmt.Sprintf("%s-%d", source.Version, source.Release)
	for _, arch := range arches {
		names = append(names, source.Name+"_"+full+"_"+arch+".buildinfo")
	}
	names = append(names, source.Name+"_"+full+".intoto.json", "SHA256SUMS", "SHA256SUMS.asc")
	return func(version string, release int) []string {
		replace := strings.NewReplacer(full, fmt.Sprintf("%s-%d", version, release), source.Version, version)
		var renamed []string
		for _, name := range names {
			renamed = append(renamed, replace.Replace(name))
		}
		return renamed
	}, nil
}
