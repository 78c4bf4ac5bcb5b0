// Package pipeline runs the steps of a build, a release and a publication in their order,
// as build.go, release.go and publication.go list them, and hands each one what the ones
// before it made. It is what the targets call.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/srcpkg"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Options are what a build is asked for.
type Options struct {
	Source    string   // name of the upstream source; empty means the main one
	Version   string   // bare version; empty means the one in source.yaml
	Dir       string   // local source directory instead of the module proxy
	Unchecked bool     // go on where the checksum database is switched off
	Arches    []string // Go's names
	Formats   []string // empty means all
	// Packages are the names of those to build; empty means all. A part has no source
	// packages, does without the dependencies of the others, and is never signed.
	Packages []string
	// Prebuilt is a folder with a folder for each machine on which the version was
	// built; empty means to build it here.
	Prebuilt string
	// Rebuilt has the digests, in the form of SHA256SUMS, that builds of the same
	// on other machines have found: Sign signs nothing else.
	Rebuilt string
	// Quick compresses programs quickly instead of well: for packages that only
	// tests install.
	Quick bool
}

// Pipeline is a checkout in which things are built.
type Pipeline struct {
	Root     string // the checkout
	Dist     artifact.Dist
	Log      io.Writer // progress
	Terminal bool      // Log is a screen
	// Databases are checksum databases that vouch beside Go's own: see source.Fetcher.
	Databases []string
	// Rehearsal lets a key sign that is none of KeysDir. Nothing is released then.
	Rehearsal bool
}

// Source is the definition of an upstream source; of the main one, where name is empty.
func (p Pipeline) Source(name string) (pkgdef.Source, error) {
	sources, err := pkgdef.Sources(p.Root)
	if err != nil {
		return pkgdef.Source{}, err
	}
	return named(sources, name)
}

// Undecided is Source where decisions may be open.
func (p Pipeline) Undecided(name string) (pkgdef.Source, error) {
	sources, err := pkgdef.UndecidedSources(p.Root)
	if err != nil {
		return pkgdef.Source{}, err
	}
	return named(sources, name)
}

// named is one of sources by its name, or the main one.
func named(sources []pkgdef.Source, name string) (pkgdef.Source, error) {
	var names []string
	for _, source := range sources {
		if source.Name == name || name == "" && source.Main {
			return source, nil
		}
		names = append(names, source.Name)
	}
	return pkgdef.Source{}, fmt.Errorf("there is no source %q: there are %s (and a directory has a slash in its name: ./%s)", name, strings.Join(names, ", "), name)
}

// Packages are those that are built from a source.
func (p Pipeline) Packages(source pkgdef.Source) ([]pkgdef.Package, error) {
	packages, err := pkgdef.Load(p.Root)
	return slices.DeleteFunc(packages, func(p pkgdef.Package) bool { return p.Source != source.Name }), err
}

// build is one build on its way through the steps.
type build struct {
	Pipeline
	options  Options
	source   pkgdef.Source
	packages []pkgdef.Package
	tree     artifact.Tree
	start    time.Time
	tools    toolroot.Finder
	// rpmbuild is the place with the rpmbuild that the source names, and unpinned says
	// why the C compiler is another than that: see begin.
	rpmbuild toolroot.Root
	unpinned string
}

// load reads the definitions and the options.
func (p Pipeline) load(o Options) (b *build, err error) {
	b = &build{Pipeline: p, options: o, start: time.Now()}
	if b.source, err = p.Source(o.Source); err != nil {
		return nil, err
	}
	if b.packages, err = p.Packages(b.source); err != nil {
		return nil, err
	}
	if b.source.Waits != "" {
		fmt.Fprintf(p.Log, "%s waits: %s\n", b.source.Name, b.source.Waits)
	}
	b.Dist = p.Dist.Of(b.source.Name)
	if b.tools, err = toolroot.Cached(p.Log); err != nil {
		return nil, err
	}
	if len(o.Packages) > 0 {
		b.packages = slices.DeleteFunc(b.packages, func(p pkgdef.Package) bool { return !slices.Contains(o.Packages, p.Name) })
	}
	switch {
	case len(pkgdef.Programs(b.packages)) > 0:
	case b.source.Waits != "":
		return nil, fmt.Errorf("%s has no packages yet: %s", b.source.Name, b.source.Waits)
	default:
		return nil, fmt.Errorf("%s: a build needs a program: name a package with one, too", strings.Join(o.Packages, ", "))
	}
	return b, b.defaults()
}

// begin loads, makes sure that the tools are there, and keeps other runs out.
func (p Pipeline) begin(ctx context.Context, o Options, compilers bool) (b *build, end func(), err error) {
	if b, err = p.load(o); err != nil {
		return nil, nil, err
	}
	needed := []string{"patch", "gzip"}
	if compilers {
		if err := b.findTools(ctx); err != nil {
			return nil, nil, err
		}
		needed = append(needed, "xz")
		needed = append(needed, srcpkg.Tools(b.options.Formats, b.rpmbuild)...)
	}
	if err := tool.Need(needed...); err != nil {
		return nil, nil, err
	}
	// All of dist, and not the source's folder alone: clean and sync work in it, too.
	end, err = p.Dist.Lock(ctx, p.Log)
	return b, end, err
}

// findTools finds the tools that the source names, or makes a root of them.
func (b *build) findTools(ctx context.Context) error {
	for _, arch := range b.options.Arches {
		unpinned, err := b.compiler().Check(ctx, arch)
		if err != nil {
			return err
		}
		b.unpinned = cmp.Or(b.unpinned, unpinned)
	}
	if !slices.Contains(b.options.Formats, srcpkg.SRPM) {
		return nil
	}
	var err error
	if b.rpmbuild, err = b.tools.Find(ctx, b.source.Tools, runtime.GOARCH); err != nil {
		return fmt.Errorf("finding the rpmbuild that the source names: %w", err)
	}
	b.unpinned = cmp.Or(b.unpinned, b.rpmbuild.Unpinned)
	return nil
}

// defaults completes and checks the options, before anything is made.
func (b *build) defaults() error {
	o := &b.options
	if o.Version == "" && o.Dir == "" {
		o.Version = b.source.Version
	}
	if o.Version != "" {
		if err := pkgdef.CheckVersion(o.Version); err != nil {
			return err
		}
	}
	switch part := len(o.Packages) > 0; {
	case len(o.Formats) == 0 && part:
		o.Formats = format.Names()
	case len(o.Formats) == 0:
		o.Formats = slices.Concat(format.Names(), srcpkg.Names())
	case part && slices.ContainsFunc(o.Formats, func(name string) bool { return slices.Contains(srcpkg.Names(), name) }):
		return errors.New("a source package is one of all packages: leave -packages out")
	}
	for _, name := range o.Formats {
		if _, err := format.Find(name); err != nil && !slices.Contains(srcpkg.Names(), name) {
			return err
		}
	}
	for _, arch := range o.Arches {
		if _, err := architecture.Find(arch); err != nil {
			return err
		}
	}
	o.Arches = slices.Compact(slices.Sorted(slices.Values(o.Arches))) // a copy: the list is the caller's
	return nil
}

// inventory is the version that is asked for.
func (b *build) inventory() inventory.Version {
	return inventory.Version{
		Source: b.source, Packages: b.packages, Number: b.options.Version, Arches: b.options.Arches, Formats: b.options.Formats,
		Dist: b.Dist, Tree: b.tree,
	}
}
