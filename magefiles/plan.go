//go:build mage

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Plan says which of upstream's versions are to be built and released, and why.
//
// It also says which minor versions upstream supports, by its tags, where a source.yaml
// says otherwise, and which versions wait for a person.
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
	asked := planned{
		floor: flag(floor, "SPIRE_FLOOR"), only: flag(version, "SPIRE_VERSION"), arches: list(arch, "SPIRE_ARCH"),
		repository: flag(repository, "GITHUB_REPOSITORY"), server: flag(upstream, "SPIRE_UPSTREAM"), minors: minors,
	}
	plans, err := asked.plans(ctx, flag(source, "SPIRE_SOURCE"))
	if len(plans) == 0 {
		return err
	}
	return errors.Join(printPlan(plans, json != nil && *json), plans.Err(), err)
}

// planned is what a plan is asked for.
type planned struct {
	floor, only, repository, server string
	arches                          []string
	minors                          *int
}

// plans has a plan for each source, or for the one that is named. One that cannot be
// planned is an error, and keeps none of the others back.
func (p planned) plans(ctx context.Context, source string) (plans upstream.Plans, err error) {
	sources, err := checkout().Each(pipeline.Options{Source: source, Version: p.only})
	for _, o := range sources {
		plan, failed := p.plan(ctx, o.Source)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("planning %s: %w", o.Source, failed))
			continue
		}
		plans = append(plans, plan)
	}
	return plans, err
}

func (p planned) plan(ctx context.Context, name string) (plan upstream.Plan, err error) {
	source, err := checkout().Source(name)
	if err != nil {
		return plan, err
	}
	rules, err := p.rules(source)
	if err != nil {
		return plan, err
	}
	if source.Repository, err = upstreamAt(source, p.server); err != nil {
		return plan, err
	}
	return makePlan(ctx, source, p.repository, rules)
}

// upstreamAt is the address of upstream's repository, on another server if one is named.
func upstreamAt(source pkgdef.Source, server string) (string, error) {
	if server == "" {
		return source.Repository, nil
	}
	page, err := url.Parse(source.Repository)
	if err != nil {
		return "", fmt.Errorf("the repository of %s: %w", source.Name, err)
	}
	if at, err := url.Parse(server); err != nil || at.Host == "" {
		return "", fmt.Errorf("-upstream: %q is not the address of a server, such as https://github.com", server)
	}
	return strings.TrimSuffix(server, "/") + page.Path, nil
}

// allArches are the architectures that a release has.
var allArches = architecture.Names(architecture.Released())

// rules are those for a source. The floor is the main one's.
func (p planned) rules(source pkgdef.Source) (rules upstream.Rules, err error) {
	rules = upstream.Rules{Minors: pkgdef.SupportedMinors, Source: source, Arches: allArches}
	if p.minors != nil {
		rules.Minors = *p.minors
	}
	if rules.Minors < 1 {
		return rules, fmt.Errorf("-minors=%d is not 1 or more", rules.Minors)
	}
	if p.floor != "" && source.Main {
		if rules.Floor, err = upstream.ParseVersion(p.floor); err != nil {
			return rules, fmt.Errorf("-floor: %w", err)
		}
	}
	if rules.Only, err = only(p.only); err != nil {
		return rules, err
	}
	if len(p.arches) > 0 {
		rules.Arches = p.arches
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
		facts.Known = append(facts.Known, upstream.Known{Version: version, Commit: source.Releases[version].Commit, By: "srpm/" + source.Name + "/source.yaml"})
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
		plan.Notes = append(plan.Notes, adoption.Waiting(ctx, ours, source, plan.Versions())...)
	}
	return plan, err
}

// printPlan prints; in a workflow, it also sets the outputs of its step.
func printPlan(plans upstream.Plans, json bool) error {
	outputs, err := plans.Outputs()
	if err != nil {
		return err
	}
	if err := stepfile.SetOutputs(outputs); err != nil {
		return err
	}
	if !json {
		return plans.Print(os.Stdout)
	}
	line, err := plans.JSON()
	if err == nil {
		fmt.Printf("%s\n", line)
	}
	return err
}

// shipped gives the names of all that the release of a version has.
func shipped(source pkgdef.Source, arches []string) (func(version string, release int) []string, error) {
	expected, err := checkout().Expected(source.Name, arches)
	return func(version string, release int) []string { return expected(version, release).Shipped }, err
}
