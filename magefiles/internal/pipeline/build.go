package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/admission"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/contents"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/packing"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/sources"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// Build makes all that is asked for, and what later runs compare with. Files
// that are right already stay as they are.
func (p Pipeline) Build(ctx context.Context, o Options) (Result, error) {
	if o.Prebuilt != "" {
		return p.gather(ctx, o)
	}
	// The definitions, the tools that the source names, and nobody else in dist.
	b, end, err := p.begin(ctx, o, true)
	if err != nil {
		return Result{}, err
	}
	defer end()
	// Upstream's source: verified, patched, vendored.
	if err := b.fetch(ctx, b.warm); err != nil {
		return Result{}, err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	// Of the source packages the archives and licenses, beside what follows.
	source := sources.Maker{Version: b.inventory(), RPMBuild: b.rpmbuild, Log: b.Log}.Begin(ctx, fail)
	defer source.Stop()
	// Of each architecture the binaries, and with their texts what goes into packages.
	machines, err := b.machines(ctx, source)
	if err != nil {
		return Result{}, err
	}
	// The packages, each with its bills of materials, the records, and the source packages.
	files, err := b.files(ctx, machines, source)
	if err != nil {
		return Result{}, err
	}
	// The list of checksums.
	result := b.result()
	result.Files, result.Unpinned, result.Part, result.Took = files, b.unpinned, b.options.Packages, time.Since(b.start)
	return result, artifact.WriteSums(result.Dir, result.Files)
}

// gather takes the files of a version as other machines built them, instead of
// building: each folder in Options.Prebuilt is one machine's.
func (p Pipeline) gather(ctx context.Context, o Options) (Result, error) {
	b, err := p.load(o)
	if err != nil {
		return Result{}, err
	}
	unlock, err := p.Dist.Lock(ctx, p.Log)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	// What they say is all of the version, and of one source.
	files, tree, err := admission.Gather(b.inventory(), o.Prebuilt)
	if err != nil {
		return Result{}, fmt.Errorf("taking what was built in %s: %w", o.Prebuilt, err)
	}
	b.tree = tree
	result := b.result()
	// One folder of all, with its list of checksums.
	err = artifact.MakeDir(result.Dir, func(dir string) error { return copyAll(files, dir) })
	if err != nil {
		return Result{}, artifact.Explain(err, result.Dir)
	}
	for _, file := range files {
		file.Path = filepath.Join(result.Dir, file.Name())
		result.Files = append(result.Files, file)
	}
	result.Took = time.Since(b.start)
	return result, artifact.WriteSums(result.Dir, result.Files)
}

func copyAll(files []artifact.File, dir string) error {
	for _, file := range files {
		if err := artifact.Copy(file.Path, filepath.Join(dir, file.Name()), 0o644); err != nil {
			return err
		}
	}
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

// result is what is known of a build's result before anything is made.
func (b *build) result() Result {
	return Result{Tree: b.tree, Dir: b.Dist.Version(b.tree.FullVersion()), Unsupported: b.source.Unsupported(b.tree.Version)}
}

// machine is what one architecture's packages are made of.
type machine struct {
	info     compile.Info
	contents []contents.File
}

// machines are all architectures' binaries and texts; the source packages are told
// what is in the packages.
func (b *build) machines(ctx context.Context, source *sources.Sources) ([]machine, error) {
	var machines []machine
	for _, arch := range b.options.Arches {
		of := b.inventory()
		if len(machines) > 0 { // what fits every machine is with the first
			of.Packages = pkgdef.Programs(of.Packages)
		}
		m, err := b.compiled(ctx, of, arch)
		if err != nil {
			return nil, err
		}
		if err := source.Add(arch, m.contents); err != nil {
			return nil, err
		}
		machines = append(machines, m)
	}
	return machines, nil
}

// compiled makes one architecture's binaries, and the texts that they tell.
func (b *build) compiled(ctx context.Context, of inventory.Version, arch string) (m machine, err error) {
	if m.info, err = b.compile(ctx, arch); err != nil {
		return m, err
	}
	m.contents, err = contents.Maker{
		Version: of,
		// Asking means to read all of them.
		Native: sync.OnceValues(func() (compile.Info, bool) { return b.native(ctx) }),
	}.Files(ctx, m.info)
	return m, err
}

// files makes the packages of every architecture and the source packages. The
// latter are mostly the work of one processor at a time, so they are put together
// beside the packing.
func (b *build) files(ctx context.Context, machines []machine, sources *sources.Sources) ([]artifact.File, error) {
	var packages, source []artifact.File
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		source, err = sources.Finish(ctx)
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
	asked := slices.DeleteFunc(slices.Clone(m.contents), func(f contents.File) bool { return !slices.Contains(b.options.Formats, f.Format.Name) })
	packer := packing.Packer{Version: b.inventory(), Log: b.Log, Quick: b.options.Quick}
	files, err := packer.Pack(ctx, asked)
	if err != nil {
		return nil, err
	}
	made, err := record.Writer{Source: b.source, Dist: b.Dist, Tools: b.tools}.Write(ctx, m.info)
	return append(files, made), err
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
	return compile.Compiler{Source: b.source, Dist: b.Dist, Tools: b.tools, Log: b.Log, Terminal: b.Terminal, Plugins: pkgdef.PluginCommands(b.packages)}
}

func (b *build) compile(ctx context.Context, arch string) (compile.Info, error) {
	info, done, err := b.compiler().Compile(ctx, b.tree, pkgdef.Commands(b.packages), arch)
	if done {
		fmt.Fprintf(b.Log, "compile %s: unchanged\n", arch)
	}
	return info, err
}

// native finds the binaries for this machine that an earlier run has made of the tree.
func (b *build) native(ctx context.Context) (compile.Info, bool) {
	return b.compiler().Earlier(ctx, b.tree, pkgdef.Commands(b.packages), runtime.GOARCH)
}

// Changelog is upstream's, of a version that was built here or elsewhere; empty where
// upstream has none.
func (p Pipeline) Changelog(ctx context.Context, name, version string) (string, error) {
	of, err := p.Source(name)
	if err != nil || of.Changelog == "" {
		return "", err
	}
	return source.Fetcher{Source: of, Dist: p.Dist.Of(of.Name), Log: p.Log}.Text(ctx, version, of.Changelog)
}
