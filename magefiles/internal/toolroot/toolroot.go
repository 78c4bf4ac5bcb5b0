// Package toolroot runs the programs that decide the bytes of packages, such as the
// C compiler, in the exact versions that a source names: this machine's own where
// it has just these, else those in a root that is made from Debian's archive.
package toolroot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// Path is where programs are looked for in a root, and, where this machine's own are
// the right ones, here: one that somebody put before them is another one.
const Path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// Root is a place with the tools.
type Root struct {
	// Dir is the root's folder, absolute; empty where this machine's own tools are
	// taken.
	Dir string
	// Unpinned says why they are this machine's although these are others than those
	// that the source names, in one line; empty where they are the right ones.
	Unpinned string
	// image is the root's name in Docker, where that is the only way into it.
	image string
}

// Other is the error of versions that differ from those that the source names.
type Other struct {
	Where string
	Found map[string]string // by package; empty where it is not there
	Want  map[string]string
}

// Error names both versions of each package that differs.
func (o Other) Error() string { return o.Where + " has " + strings.Join(o.differ(), ", ") }

// short names the first one that differs, for a line that is read.
func (o Other) short() string {
	differ := o.differ()
	if len(differ) == 1 {
		return o.Where + " has " + differ[0]
	}
	return fmt.Sprintf("%s has %s, and %d more", o.Where, differ[0], len(differ)-1)
}

func (o Other) differ() (differ []string) {
	for _, name := range slices.Sorted(maps.Keys(o.Want)) {
		if o.Found[name] != o.Want[name] {
			differ = append(differ, fmt.Sprintf("%s %s instead of %s", name, cmp.Or(o.Found[name], "none"), o.Want[name]))
		}
	}
	return differ
}

// Finder finds roots, or makes them.
type Finder struct {
	Cache string // folder that roots are kept in
	Log   io.Writer
	// Elsewhere takes a root also where this machine's own tools are the right ones:
	// for tests.
	Elsewhere bool
}

// Cached is a Finder that keeps roots among the user's caches.
func Cached(log io.Writer) (Finder, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return Finder{}, fmt.Errorf("finding a place for the tools' roots: %w", err)
	}
	return Finder{Cache: filepath.Join(cache, "spire-packages", "tools"), Log: log}, nil
}

// Find gives the place with a source's tools for compiling for an architecture, by
// Go's name, on this machine. Where they cannot be had, that is this machine itself,
// unpinned. The error wraps an Other where Debian's archive has other versions by now,
// and no older state of it can be reached.
func (f Finder) Find(ctx context.Context, of pkgdef.Tools, arch string) (Root, error) {
	want, err := wanted(of, arch)
	if err != nil {
		return Root{}, err
	}
	return f.find(ctx, want, want, arch)
}

// FindFor gives the place with one of the tools, by its package, which runs without the
// others: this machine where it has that one's version, or one of its series.
func (f Finder) FindFor(ctx context.Context, of pkgdef.Tools, name string) (Root, error) {
	want, err := wanted(of, runtime.GOARCH)
	if err != nil {
		return Root{}, err
	}
	version, ok := want.versions[name]
	if !ok {
		return Root{}, fmt.Errorf("no version of %s is named", name)
	}
	if series := of.Series[name]; series != "" && strings.HasPrefix(installed(ctx, run.New("dpkg-query"))[name], series+".") {
		return Root{}, nil
	}
	return f.find(ctx, tools{of, map[string]string{name: version}}, want, runtime.GOARCH)
}

// find takes this machine where it has its part of the tools, and else makes a root with
// all that are wanted.
func (f Finder) find(ctx context.Context, part, want tools, arch string) (Root, error) {
	own := "this machine's own tools are not to be taken"
	var other Other
	switch err := part.check("this machine", installed(ctx, run.New("dpkg-query"))); {
	case err == nil && !f.Elsewhere && arch == runtime.GOARCH: // a cross compiler is put together in roots
		return Root{}, nil
	case errors.As(err, &other):
		own = other.short()
	}
	root, err := f.entered(ctx, want)
	if err == nil || ctx.Err() != nil || errors.As(err, &other) {
		return root, err
	}
	reason := fmt.Sprintf("%s, and no root with those of Debian's %s can be made and entered: %v", own, want.Suite, err)
	return Root{Unpinned: strings.Join(strings.Fields(reason), " ")}, nil
}

// entered is a root that was seen to work, by namespaces or else by Docker.
func (f Finder) entered(ctx context.Context, want tools) (Root, error) {
	dir, err := f.made(ctx, want)
	if err != nil {
		return Root{}, err
	}
	root := Root{Dir: dir}
	entered := root.Command(run.New("true")).Run(ctx)
	if entered == nil || ctx.Err() != nil {
		return root, entered
	}
	if !container.Installed() {
		return Root{}, fmt.Errorf("entering it by namespaces: %w; and there is no Docker", entered)
	}
	root.image = "spire-packages-tools:" + filepath.Base(dir)
	if err := root.load(ctx); err != nil {
		return Root{}, fmt.Errorf("entering it by namespaces: %w; by Docker: %w", entered, err)
	}
	return root, nil
}

// tools are what is needed of Debian's archive.
type tools struct {
	pkgdef.Tools
	versions map[string]string // by package and, where it is of another architecture, :arch
}

func wanted(of pkgdef.Tools, arch string) (tools, error) {
	versions := of.For(runtime.GOARCH, arch)
	if versions == nil {
		return tools{}, fmt.Errorf("source.yaml names no tools that compile on %s for %s", runtime.GOARCH, arch)
	}
	return tools{of.Of(arch), versions}, nil
}

// check compares versions.
func (t tools) check(where string, found map[string]string) error {
	for name, version := range t.versions {
		if found[name] != version {
			return Other{Where: where, Found: found, Want: t.versions}
		}
	}
	return nil
}

// installed are the versions of Debian's packages that dpkg-query knows of; none where
// there is no such program.
func installed(ctx context.Context, query run.Command) map[string]string {
	query.Args = append(query.Args, "--show", "--showformat=${db:Status-Status} ${Package} ${Architecture} ${Version}\n")
	said, err := query.Output(ctx)
	if err != nil {
		return nil
	}
	return versions(said)
}

// versions reads dpkg-query's lines: state, name, architecture and version. The
// architectures are called as Go does, those that we know.
func versions(said string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(said) {
		field := strings.Fields(line)
		if len(field) != 4 || field[0] != "installed" {
			continue
		}
		name := field[1]
		if field[2] != architecture.Own().Debian && field[2] != "all" {
			name += ":" + field[2]
		}
		found[name] = field[3]
	}
	return found
}

// made is the root's folder, which is made if need be and has its name when it is
// whole and right.
func (f Finder) made(ctx context.Context, want tools) (string, error) {
	dir := filepath.Join(f.Cache, want.key())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := tool.Need("mmdebstrap"); err != nil {
		return "", err
	}
	unlock, err := artifact.Dist(f.Cache).Lock(ctx, f.Log)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil { // made by the run that was waited for
		return dir, nil
	}
	if err := artifact.Sweep(f.Cache); err != nil {
		return "", err
	}
	start := time.Now()
	fmt.Fprintf(f.Log, "tools: making a root of Debian's %s with the versions that this checkout names\n", want.Suite)
	if err := artifact.MakeDir(dir, func(into string) error { return f.fill(ctx, want, into) }); err != nil {
		return "", fmt.Errorf("making a root of Debian's %s: %w", want.Suite, err)
	}
	fmt.Fprintf(f.Log, "tools: made, %.1f s\n", time.Since(start).Seconds())
	return dir, nil
}

// key is over all that decides what is in the root.
func (t tools) key() string {
	return fmt.Sprintf("%s-%.12s", t.Suite, artifact.Key(t.Suite, t.Snapshot, t.versions, t.packages(), t.scripts()))
}

// scripts are the programs to add, by name.
func (t tools) scripts() map[string]string {
	all := map[string]string{}
	foreign := architectures(t.versions)[1:]
	for _, arch := range architecture.All() {
		if slices.Contains(foreign, arch.Debian) {
			name, script := tool.CrossGCC(arch.Go)
			all[name] = script
		}
	}
	return all
}

// fill makes the root in an empty folder.
func (f Finder) fill(ctx context.Context, want tools, into string) error {
	packed := filepath.Join(into, "root.tar")
	if err := want.debstrap(Mirror(ctx, want.Tools), packed).Run(ctx); err != nil {
		return err
	}
	// Devices are the machine's, and owners do not matter to who enters alone.
	unpack := run.New("tar", "--extract", "--file="+packed, "--directory="+into, "--no-same-owner", "--exclude=./dev/*")
	if err := errors.Join(unpack.Run(ctx), os.Remove(packed)); err != nil {
		return err
	}
	for name, script := range want.scripts() {
		if err := artifact.WriteBytes(filepath.Join(into, "usr", "bin", name), 0o755, []byte(script)); err != nil {
			return err
		}
	}
	has := installed(ctx, run.New("dpkg-query", "--admindir="+filepath.Join(into, "var/lib/dpkg")))
	return want.check("Debian's "+want.Suite, has)
}

// snapshots is Debian's archive as it was at any moment.
const snapshots = "http://snapshot.debian.org/archive/debian/"

// patience is how long the archive of snapshots may take to say that it is there.
const patience = 10 * time.Second

// Mirror is the archive as it was at the source's moment, where that can be reached;
// empty, which is mmdebstrap's own, where it cannot, and the suite is taken as it is.
func Mirror(ctx context.Context, t pkgdef.Tools) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at := snapshots + t.Snapshot + "/"
	if !web.Has(ctx, at+"dists/"+t.Suite+"/InRelease") {
		return ""
	}
	return at
}

// SuiteAlone has mmdebstrap take a suite without its updates: mirrors were found to lag
// with these for architectures that few machines are, and then nothing is installed. Of
// the tools nothing has another version for it: theirs are named.
func SuiteAlone(suite string) string {
	return `--setup-hook=sed -i '/ ` + suite + ` /!d' "$1"/etc/apt/sources.list`
}

// packages are those to install: fakeroot, whose version decides nothing, for who
// enters as no root.
func (t tools) packages() []string {
	return append(slices.Sorted(maps.Keys(t.versions)), "fakeroot")
}

// architectures are the machine's own and those of the packages, by Debian's names.
func architectures(versions map[string]string) []string {
	all := []string{architecture.Own().Debian}
	for name := range versions {
		if _, arch, ok := strings.Cut(name, ":"); ok && !slices.Contains(all, arch) {
			all = append(all, arch)
		}
	}
	return all
}

func (t tools) debstrap(mirror, to string) run.Command {
	args := []string{
		"--variant=essential", "--format=tar", "--dpkgopt=force-unsafe-io", "--include=" + strings.Join(t.packages(), ","),
		"--architectures=" + strings.Join(architectures(t.versions), ","),
	}
	switch {
	case mirror != "":
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	case len(architectures(t.versions)) > 1:
		args = append(args, SuiteAlone(t.Suite))
	}
	args = append(args, t.Suite, to)
	if mirror != "" {
		args = append(args, mirror)
	}
	return run.New("mmdebstrap", args...)
}
