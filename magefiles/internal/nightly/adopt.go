package nightly

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/licensing"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/upstream"
)

// Adopted is a version that was looked at, and what the source's definition is to say.
type Adopted struct {
	Findings adoption.Findings
	File     string // the definition's
	Content  []byte // what it is to be
}

// candidate is a version that is looked at.
type candidate struct {
	pipeline.Pipeline
	source   pkgdef.Source
	packages []pkgdef.Package
	dist     artifact.Dist // the source's
	tree     artifact.Tree
}

// Adopt finds what a version of a source is, and all that a person has to decide before it goes
// out: licenses that nobody has looked at, and patches that do not apply. It changes
// nothing. Decisions may be open in the checkout's definition. theirs has upstream's tags.
func Adopt(ctx context.Context, p pipeline.Pipeline, theirs *hub.Repository, due upstream.Due, arches []string) (Adopted, error) {
	c, end, err := begin(ctx, p, due.Source)
	if err != nil {
		return Adopted{}, err
	}
	defer end()
	// The source, with the patches that apply.
	trial, err := source.Fetcher{Source: c.source, Dist: c.dist, Log: p.Log, Databases: p.Databases}.Try(ctx, due.Version)
	if err != nil {
		return Adopted{}, err
	}
	defer os.RemoveAll(trial.Tree.Dir)
	c.tree = trial.Tree
	// Its commit: a proxy need not say which it is; upstream's own tag does.
	tagged, err := upstream.Compare(ctx, theirs, pipeline.Known(c.tree))
	if err != nil {
		return Adopted{}, err
	}
	// What nobody has judged.
	found := c.findings(trial, tagged)
	if found.Licenses, err = c.unjudged(ctx, arches); err != nil {
		return Adopted{}, fmt.Errorf("finding the licenses of %s %s: %w", c.source.Name, due.Version, err)
	}
	// What the definition is to say of all that.
	return c.adopted(found, tagged.Supported)
}

// begin reads the definitions, of which some may be open, and keeps other runs out.
func begin(ctx context.Context, p pipeline.Pipeline, name string) (c *candidate, end func(), err error) {
	c = &candidate{Pipeline: p}
	if c.source, err = p.Undecided(name); err != nil {
		return nil, nil, err
	}
	if c.packages, err = p.Packages(c.source); err != nil {
		return nil, nil, err
	}
	c.dist = p.Dist.Of(c.source.Name)
	if err := tool.Need("patch"); err != nil {
		return nil, nil, err
	}
	end, err = p.Dist.Lock(ctx, p.Log)
	return c, end, err
}

// findings are what is known of the version but for its licenses.
func (c *candidate) findings(trial source.Trial, tagged upstream.Tagged) adoption.Findings {
	found := adoption.Findings{
		Source: c.source, Version: c.tree.Version,
		Pin: pkgdef.Pin{Sum: c.tree.Sum, Commit: tagged.Commit, Time: c.tree.Time, Vendor: trial.Vendor},
	}
	for _, r := range trial.Rejected {
		found.Patches = append(found.Patches, adoption.Patch{Name: r.Patch, Reject: r.Reject})
	}
	return found
}

// adopted is what the definition is to say of the findings. Which minor versions are
// supported is said with the newest of them, of the day that it is of: so the same
// comes out every night.
func (c *candidate) adopted(found adoption.Findings, lines []upstream.Line) (Adopted, error) {
	var supported pkgdef.Supported
	if newest, err := upstream.ParseVersion(found.Version); err != nil {
		return Adopted{}, err
	} else if len(lines) > 0 && lines[0].Minor == newest.Minor() {
		supported = pkgdef.Supported{Minors: upstream.Minors(lines), Day: found.Pin.Time.Format(time.DateOnly)}
	}
	before, err := os.ReadFile(c.source.File())
	if err != nil {
		return Adopted{}, err
	}
	content, err := found.Adoption(supported).Adopt(before)
	return Adopted{found, c.source.File(), content}, err
}

// unjudged are the licenses, of all that the source packages carry and the programs
// link, which nobody has looked at. Nothing is compiled for it.
func (c *candidate) unjudged(ctx context.Context, arches []string) (all []adoption.License, err error) {
	linked, err := c.willLink(ctx, arches)
	if err != nil {
		return nil, err
	}
	found, err := licensing.Version{Source: c.source, Tree: c.tree}.Unjudged(c.packages, linked)
	for _, one := range found {
		all = append(all, adoption.License{Module: one.Module, Version: one.Version, File: one.File, Why: one.Err.Error(), Guess: one.Guess, Text: one.Text})
	}
	return all, err
}

// willLink are the paths of the modules that are linked, on one of the architectures or more.
func (c *candidate) willLink(ctx context.Context, arches []string) (paths []string, err error) {
	compiler := compile.Compiler{Source: c.source, Dist: c.dist, Log: c.Log, Terminal: c.Terminal}
	for _, arch := range arches {
		some, err := compiler.Linked(ctx, c.tree, pkgdef.Commands(c.packages), arch)
		if err != nil {
			return nil, err
		}
		paths = append(paths, some...)
	}
	return paths, nil
}
