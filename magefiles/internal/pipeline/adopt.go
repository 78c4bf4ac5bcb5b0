package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/adoption"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/license"
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

// Adopt finds what a version of a source is, and all that a person has to decide before it goes
// out: licenses that nobody has looked at, and patches that do not apply. It changes
// nothing. Decisions may be open in the checkout's definition.
func (p Pipeline) Adopt(ctx context.Context, theirs *hub.Repository, name, version string, arches []string) (Adopted, error) {
	b, end, err := p.beginAdoption(ctx, name)
	if err != nil {
		return Adopted{}, err
	}
	defer end()
	fetcher := source.Fetcher{Source: b.source, Dist: b.Dist, Log: p.Log, Databases: p.Databases}
	trial, err := fetcher.Try(ctx, version)
	if err != nil {
		return Adopted{}, err
	}
	defer os.RemoveAll(trial.Tree.Dir)
	b.tree = trial.Tree
	tagged, err := b.tagged(ctx, theirs)
	if err != nil {
		return Adopted{}, err
	}
	found := adoption.Findings{
		Source: b.source, Version: version,
		Pin: pkgdef.Pin{Sum: b.tree.Sum, Commit: tagged.Commit, Time: b.tree.Time, Vendor: trial.Vendor},
	}
	for _, r := range trial.Rejected {
		found.Patches = append(found.Patches, adoption.Patch{Name: r.Patch, Reject: r.Reject})
	}
	if found.Licenses, err = b.unjudged(ctx, arches); err != nil {
		return Adopted{}, fmt.Errorf("finding the licenses of %s %s: %w", b.source.Name, version, err)
	}
	return b.adopted(found, tagged.Supported)
}

// beginAdoption is begin for a definition with open decisions.
func (p Pipeline) beginAdoption(ctx context.Context, name string) (b *build, end func(), err error) {
	b = &build{Pipeline: p, start: time.Now()}
	if b.source, err = p.Undecided(name); err != nil {
		return nil, nil, err
	}
	if b.packages, err = p.Packages(b.source); err != nil {
		return nil, nil, err
	}
	b.Dist = p.Dist.Of(b.source.Name)
	if err := tool.Need("patch"); err != nil {
		return nil, nil, err
	}
	end, err = p.Dist.Lock(ctx, p.Log)
	return b, end, err
}

// tagged compares what the module proxy says of the version with upstream's tags. A
// proxy need not say of which commit it is; upstream does.
func (b *build) tagged(ctx context.Context, theirs *hub.Repository) (upstream.Tagged, error) {
	known := upstream.Known{Version: b.tree.Version, Commit: b.tree.Commit, By: cmp.Or(b.tree.CommitBy, "nobody")}
	return upstream.Compare(ctx, theirs, known)
}

// adopted is what the definition is to say of the findings. Which minor versions are
// supported is said with the newest of them, of the day that it is of: so the same
// comes out every night.
func (b *build) adopted(found adoption.Findings, lines []upstream.Line) (Adopted, error) {
	var supported pkgdef.Supported
	if newest, err := upstream.ParseVersion(found.Version); err != nil {
		return Adopted{}, err
	} else if len(lines) > 0 && lines[0].Minor == newest.Minor() {
		supported = pkgdef.Supported{Minors: upstream.Minors(lines), Day: found.Pin.Time.Format(time.DateOnly)}
	}
	before, err := os.ReadFile(b.source.File())
	if err != nil {
		return Adopted{}, err
	}
	content, err := found.Adoption(supported).Adopt(before)
	return Adopted{found, b.source.File(), content}, err
}

// unjudged are the licenses, of all that the source packages carry and the programs
// link, which nobody has looked at. Nothing is compiled for it.
func (b *build) unjudged(ctx context.Context, arches []string) (all []adoption.License, err error) {
	modules, err := license.Vendored(b.tree.Dir)
	if err != nil {
		return nil, err
	}
	linked, err := b.willLink(ctx, modules, arches)
	if err != nil {
		return nil, err
	}
	everywhere := func(pkgdef.Library) bool { return true }
	_, carries := b.scan(modules, b.libraries(inTree), true)
	_, links := b.scan(linked, b.libraries(everywhere), false)
	found, other := license.Undecided(carries, links)
	for _, one := range found {
		all = append(all, adoption.License{Module: one.Module, Version: one.Version, File: one.File, Why: one.Err.Error(), Guess: one.Guess, Text: one.Text})
	}
	return all, other
}

// willLink are the modules that are linked, on one of the architectures or more.
func (b *build) willLink(ctx context.Context, modules []license.Module, arches []string) ([]license.Module, error) {
	var paths []string
	for _, arch := range arches {
		some, err := b.compiler().Linked(ctx, b.tree, pkgdef.Commands(b.packages), arch)
		if err != nil {
			return nil, err
		}
		paths = append(paths, some...)
	}
	return slices.DeleteFunc(slices.Clone(modules), func(m license.Module) bool { return !slices.Contains(paths, m.Path) }), nil
}
