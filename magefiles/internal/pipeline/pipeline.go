// Package pipeline runs the steps of a build in their order and hands each one
// what the ones before it made. It is what the targets call.
package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/format"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
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
	b.Dist = p.Dist.Of(b.source.Name)
	if b.tools, err = toolroot.Cached(p.Log); err != nil {
		return nil, err
	}
	if len(o.Packages) > 0 {
		b.packages = slices.DeleteFunc(b.packages, func(p pkgdef.Package) bool { return !slices.Contains(o.Packages, p.Name) })
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

// Fetch makes the source tree.
func (p Pipeline) Fetch(ctx context.Context, o Options) (artifact.Tree, error) {
	b, end, err := p.begin(ctx, o, false)
	if err != nil {
		return artifact.Tree{}, err
	}
	defer end()
	err = b.fetch(ctx, nil)
	return b.tree, err
}

// Compile makes the binaries.
func (p Pipeline) Compile(ctx context.Context, o Options) ([]artifact.Binary, error) {
	b, end, err := p.begin(ctx, o, true)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := b.fetch(ctx, b.warm); err != nil {
		return nil, err
	}
	var binaries []artifact.Binary
	for _, arch := range b.options.Arches {
		info, err := b.compile(ctx, arch)
		if err != nil {
			return nil, err
		}
		binaries = append(binaries, info.Binaries...)
	}
	return binaries, nil
}

// Build makes all that is asked for, and what later runs compare with. Files
// that are right already stay as they are.
func (p Pipeline) Build(ctx context.Context, o Options) (Result, error) {
	if o.Prebuilt != "" {
		return p.gather(ctx, o)
	}
	b, end, err := p.begin(ctx, o, true)
	if err != nil {
		return Result{}, err
	}
	defer end()
	if err := b.fetch(ctx, b.warm); err != nil {
		return Result{}, err
	}
	result := b.result()
	result.Unpinned, result.Part = b.unpinned, b.options.Packages
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	sources := b.startSources(ctx, fail)
	defer sources.stop()
	if result.Files, err = b.files(ctx, sources); err != nil {
		return Result{}, err
	}
	if err := artifact.WriteSums(result.Dir, result.Files); err != nil {
		return Result{}, err
	}
	result.Took = time.Since(b.start)
	return result, nil
}

// result is what is known of a build's result before anything is made.
func (b *build) result() Result {
	return Result{Tree: b.tree, Dir: b.Dist.Version(b.tree.FullVersion()), Unsupported: b.source.Unsupported(b.tree.Version)}
}

// files makes the packages of every architecture and the source packages. The
// latter are mostly the work of one processor at a time, so they are put together
// beside the packing.
func (b *build) files(ctx context.Context, sources *sources) ([]artifact.File, error) {
	machines, err := b.machines(ctx, sources)
	if err != nil {
		return nil, err
	}
	var packages, source []artifact.File
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		source, err = sources.finish(ctx)
		return err
	})
	group.Go(func() (err error) {
		packages, err = b.packAll(ctx, machines)
		return err
	})
	if group.Wait() != nil {
		// What one that was cancelled says is not why.
		return nil, context.Cause(ctx)
	}
	return slices.Concat(packages, source), nil
}

// machine is what one architecture's packages are made of.
type machine struct {
	info  compile.Info
	items []wanted
}

// machines are all architectures' binaries and texts; the source packages are told
// what is in the packages.
func (b *build) machines(ctx context.Context, sources *sources) ([]machine, error) {
	var machines []machine
	for _, arch := range b.options.Arches {
		m, err := b.compiled(ctx, arch)
		if err != nil {
			return nil, err
		}
		if err := sources.add(arch, m.items); err != nil {
			return nil, err
		}
		machines = append(machines, m)
	}
	return machines, nil
}

// compiled makes one architecture's binaries, and the texts that they tell.
func (b *build) compiled(ctx context.Context, arch string) (m machine, err error) {
	if m.info, err = b.compile(ctx, arch); err != nil {
		return m, err
	}
	m.items, err = b.items(ctx, m.info)
	return m, err
}

// packAll makes all architectures' packages, one after the other: each takes all
// processors.
func (b *build) packAll(ctx context.Context, machines []machine) ([]artifact.File, error) {
	var all []artifact.File
	for _, m := range machines {
		files, err := b.packed(ctx, m)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// packed makes one architecture's packages, and what is said of them.
func (b *build) packed(ctx context.Context, m machine) ([]artifact.File, error) {
	wanted := slices.DeleteFunc(slices.Clone(m.items), func(w wanted) bool { return !slices.Contains(b.options.Formats, w.format.Name) })
	if err := b.compress(ctx, wanted); err != nil {
		return nil, err
	}
	files, err := b.pack(ctx, wanted)
	if err != nil {
		return nil, err
	}
	bills, err := b.bills(wanted, files)
	if err != nil {
		return nil, err
	}
	record, err := b.writeInfo(ctx, m.info)
	return append(slices.Concat(files, bills), record), err
}

// fetch sweeps up after killed runs and makes the source tree; meanwhile, if
// not nil, runs beside that.
func (b *build) fetch(ctx context.Context, meanwhile func(context.Context)) (err error) {
	places := []string{b.Dist.Work()}
	if versions, err := os.ReadDir(string(b.Dist)); err == nil {
		for _, version := range versions {
			places = append(places, b.Dist.Version(version.Name()), b.Dist.Work(version.Name()))
		}
	}
	for _, place := range places {
		if err := artifact.Sweep(place); err != nil {
			return err
		}
	}
	fetcher := source.Fetcher{Source: b.source, Dist: b.Dist, Log: b.Log, Databases: b.Databases, Background: meanwhile}
	b.tree, err = fetcher.Fetch(ctx, source.Request{Version: b.options.Version, Dir: b.options.Dir, AllowUnchecked: b.options.Unchecked, Part: len(b.options.Packages) > 0})
	return err
}

// warm compiles ahead what needs no source.
func (b *build) warm(ctx context.Context) {
	if len(b.options.Arches) > 0 {
		b.compiler().Warm(ctx, b.options.Arches[0])
	}
}

func (b *build) compiler() compile.Compiler {
	return compile.Compiler{Source: b.source, Dist: b.Dist, Tools: b.tools, Log: b.Log, Terminal: b.Terminal}
}

func (b *build) compile(ctx context.Context, arch string) (compile.Info, error) {
	info, done, err := b.compiler().Compile(ctx, b.tree, pkgdef.Commands(b.packages), arch)
	if done {
		fmt.Fprintf(b.Log, "compile %s: unchanged\n", arch)
	}
	return info, err
}
