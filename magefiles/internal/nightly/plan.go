// Package nightly decides of upstream's new versions: which are due, and which wait for a
// person.
package nightly

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/stepfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Planner plans what is to be built and released.
type Planner struct {
	Pipeline   pipeline.Pipeline
	Hub        hub.Settings
	Repository string // owner/name, where the releases are
	// Server is the address of the one that has upstream's repositories, in the place of
	// their own; empty means their own.
	Server string
	Floor  string   // the oldest version of the main source that is ever due; empty means any
	Only   string   // the one version that is planned; empty means all
	Arches []string // that a release has; empty means all that are released
	Minors *int     // how many of the newest minor versions are kept up; nil means as many as upstream supports
}

// Plans has a plan for each source, or for the one that is named. One that cannot be
// planned is an error, and keeps none of the others back. Those that wait come last.
func (p Planner) Plans(ctx context.Context, source string) (plans upstream.Plans, err error) {
	names, err := p.names(source)
	for _, name := range names {
		plan, failed := p.plan(ctx, name)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("planning %s: %w", name, failed))
			continue
		}
		plans = append(plans, plan)
	}
	return plans, err
}

// names are those of the sources to be planned: of all, where nothing is asked for.
func (p Planner) names(source string) (names []string, err error) {
	each, err := p.Pipeline.Each(pipeline.Options{Source: source, Version: p.Only})
	if err != nil {
		return nil, err
	}
	for _, o := range each {
		names = append(names, o.Source)
	}
	if source != "" || p.Only != "" {
		return names, nil
	}
	waiting, err := p.Pipeline.Waiting()
	for _, one := range waiting {
		names = append(names, one.Name)
	}
	return names, err
}

func (p Planner) plan(ctx context.Context, name string) (plan upstream.Plan, err error) {
	source, err := p.Pipeline.Source(name)
	if err != nil {
		return plan, err
	}
	if source.Waits != "" { // nobody is asked for what is not built
		return upstream.Plan{Source: source}, nil
	}
	rules, err := p.rules(source)
	if err != nil {
		return plan, err
	}
	if source.Repository, err = pipeline.UpstreamAt(source, p.Server); err != nil {
		return plan, err
	}
	return p.make(ctx, source, rules)
}

// rules are those for a source. The floor is the main one's.
func (p Planner) rules(source pkgdef.Source) (rules upstream.Rules, err error) {
	rules = upstream.Rules{Minors: pkgdef.SupportedMinors, Source: source, Arches: architecture.Names(architecture.All())}
	if p.Minors != nil {
		rules.Minors = *p.Minors
	}
	if rules.Minors < 1 {
		return rules, fmt.Errorf("-minors=%d is not 1 or more", rules.Minors)
	}
	if p.Floor != "" && source.Main {
		if rules.Floor, err = upstream.ParseVersion(p.Floor); err != nil {
			return rules, fmt.Errorf("-floor: %w", err)
		}
	}
	if rules.Only, err = pipeline.Only(p.Only); err != nil {
		return rules, err
	}
	if len(p.Arches) > 0 {
		rules.Arches = p.Arches
	}
	rules.Expected, err = p.shipped(source, rules.Arches)
	return rules, err
}

// make plans twice: for what is due the first time, the module proxy is asked
// of which commit it is.
func (p Planner) make(ctx context.Context, source pkgdef.Source, rules upstream.Rules) (upstream.Plan, error) {
	ours, err := hub.Open(p.Hub, p.Repository)
	if err != nil {
		return upstream.Plan{}, err
	}
	tags, err := p.tags(ctx, source)
	if err != nil {
		return upstream.Plan{}, err
	}
	facts, err := upstream.Look(ctx, tags, ours, rules)
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
	known, err := proxied(ctx, source, plan.Versions())
	if err != nil {
		return upstream.Plan{}, err
	}
	facts.Known = append(facts.Known, known...)
	if plan, err = upstream.Make(facts, rules); err == nil {
		plan.Notes = append(plan.Notes, adoption.Waiting(ctx, ours, source, plan.Versions())...)
	}
	return plan, err
}

// proxied is what the module proxy says of versions; it has none of a source of this
// repository.
func proxied(ctx context.Context, source pkgdef.Source, versions []string) ([]upstream.Known, error) {
	if source.Own != "" {
		return nil, nil
	}
	tool, err := gotool.Find(ctx, source.Toolchain.Version)
	if err != nil {
		return nil, err
	}
	return upstream.Proxy(ctx, tool, source.Module, versions)
}

// tags are upstream's. Of a source of this repository, the version in the checkout is what
// there is.
func (p Planner) tags(ctx context.Context, source pkgdef.Source) ([]hub.Tag, error) {
	if source.Own != "" {
		return []hub.Tag{{Name: "v" + source.Version}}, nil
	}
	theirs, err := hub.OpenPage(p.Hub, source.Repository)
	if err != nil {
		return nil, err
	}
	return theirs.Tags(ctx)
}

// Print writes plans to w; in a workflow, it also sets the outputs of its step.
func Print(w io.Writer, plans upstream.Plans, json bool) error {
	outputs, err := plans.Outputs()
	if err != nil {
		return err
	}
	if err := stepfile.SetOutputs(outputs); err != nil {
		return err
	}
	if !json {
		return plans.Print(w)
	}
	line, err := plans.JSON()
	if err == nil {
		fmt.Fprintf(w, "%s\n", line)
	}
	return err
}

// shipped gives the names of all that the release of a version has.
func (p Planner) shipped(source pkgdef.Source, arches []string) (func(version string, release int) []string, error) {
	expected, err := p.Pipeline.Expected(source.Name, arches)
	return func(version string, release int) []string { return expected(version, release).Shipped }, err
}
