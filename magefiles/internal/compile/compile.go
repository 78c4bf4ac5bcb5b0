// Package compile turns a source tree into static binaries, all of one
// architecture's in one run of `go build`.
package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Flags are the arguments of `go build` in every path that makes a binary. The
// linker's options hold the stamp of the version.
func Flags(s pkgdef.Source, tree artifact.Tree) []string {
	return append(slices.Clone(common),
		"-mod=vendor", // recorded in the binary, so every path must use it
		"-buildvcs=false",
		"-ldflags=-s -w -X "+stamp(s, tree)+" -extldflags -static",
	)
}

// DynamicFlags are the arguments of `go build` for a distribution's ordinary
// build from our source packages, with its own C compiler flags: linked
// against its libraries, position independent, not stripped.
func DynamicFlags(s pkgdef.Source, tree artifact.Tree) []string {
	return []string{"-trimpath", "-mod=vendor", "-buildvcs=false", "-buildmode=pie", "-compressdwarf=false", "-ldflags=-linkmode=external -X " + stamp(s, tree)}
}

// common are the flags that decide what a package's compiled form is.
var common = []string{
	"-trimpath", // no path of the build machine
	// Without these, net and os/user would pull in C, and everything above
	// them would be compiled twice.
	"-tags=netgo,osusergo",
	// The linker strips what a debugger would read. Making it was measured to
	// be a ninth of the compilers' work.
	"-gcflags=all=-dwarf=false",
}

// stamp is the assignment of the version. A tree that nobody vouches for gets
// no release's version: upstream then calls itself VERSION-dev-unverified, or is made to.
func stamp(s pkgdef.Source, tree artifact.Tree) string {
	if tree.Verified || s.CommitVariable == "" {
		return s.VersionVariable + "=" + Reported(tree)
	}
	return s.CommitVariable + "=" + artifact.Unverified
}

// Reported is what a binary of the tree answers to --version.
func Reported(tree artifact.Tree) string {
	if tree.Verified {
		return tree.Version
	}
	return tree.Version + "-dev-" + artifact.Unverified
}

// Env are the variables that decide what the compilers make, for one
// architecture and C compiler.
func Env(arch, cc string) []string {
	return slices.Concat([]string{"GOOS=linux", "GOARCH=" + arch}, levels(), []string{
		"GOFIPS140=off", "CGO_ENABLED=1", "CC=" + cc,
		// Go's own default, less the debugging information that is stripped and the
		// compiler's name, which is another one where a cross compiler does the same.
		strings.TrimSpace("CGO_CFLAGS=-O2 -fno-ident " + architecture.Of(arch).C), "CGO_CPPFLAGS=", "CGO_LDFLAGS=-O2",
	})
}

// levels are the settings for the oldest processors: those of all architectures, so that
// their records have the same ones.
func levels() (levels []string) {
	for _, one := range architecture.All() {
		if one.Level != "" {
			levels = append(levels, one.Level)
		}
	}
	return levels
}

// Compiler compiles.
type Compiler struct {
	Source pkgdef.Source
	Dist   artifact.Dist
	// Tools finds the C compiler that the source names.
	Tools toolroot.Finder
	// Plugins are those commands that are plugins, which do not say their version.
	Plugins []string
	Log     io.Writer
	// Terminal says that Log is a screen, on which a line can be overwritten.
	Terminal bool
}

// record is what a later run needs to know of finished binaries.
type record struct {
	Key  string
	Info Info
}

// Info is how binaries were made: what anyone needs to make the same.
type Info struct {
	Tree      artifact.Tree
	Arch      string
	Toolchain string
	// ToolchainModule is the module that the toolchain was fetched as, path@version,
	// and ToolchainSum its h1 sum.
	ToolchainModule, ToolchainSum string

	Flags    []string
	Env      []string
	CC       string // the C compiler's version line
	Musl     string // the C library's package version
	Binaries []artifact.Binary
	// Machine is the architecture that compiled, by Go's name.
	Machine string
	// Tools are the versions of Debian's packages that the C compiler is from, by name,
	// where these are the ones that the source names; else Unpinned says why not.
	Tools    map[string]string `json:",omitempty"`
	Unpinned string            `json:",omitempty"`
	// Linked is what gets into a program with C beside Go's, and Compilers what makes
	// it, each as name (= version): those of the source, on whichever machine, for they
	// make the same. What this machine's own compiler brings, but musl, is not known.
	Linked, Compilers []string `json:",omitempty"`
}

// Compile makes the binaries of the given main packages (paths inside the
// tree) for one architecture, or finds that those of an earlier run are still
// right. done is true when nothing had to be compiled.
func (c Compiler) Compile(ctx context.Context, tree artifact.Tree, commands []string, arch string) (info Info, done bool, err error) {
	info, cc, err := c.plan(ctx, tree, arch)
	if err != nil {
		return Info{}, false, err
	}
	key := artifact.Key(info, cc.Command, commands)
	if earlier, ok := c.earlier(key, tree, arch); ok {
		return earlier, true, nil
	}
	if err := tree.Check(); err != nil {
		return Info{}, false, err
	}
	dir := c.binDir(tree, arch)
	err = artifact.MakeDir(dir, func(out string) error {
		if err := c.build(ctx, tree, commands, arch, cc, out); err != nil {
			return err
		}
		info.Binaries, err = c.inspect(ctx, info, commands, out)
		return err
	})
	if err != nil {
		return Info{}, false, fmt.Errorf("compiling %s %s for %s: %w", c.Source.Name, tree.Version, arch, err)
	}
	c.place(info.Binaries, dir)
	return info, false, artifact.Save(c.record(tree, arch), record{Key: key, Info: info})
}

// Earlier finds the binaries that Compile would find without compiling.
func (c Compiler) Earlier(ctx context.Context, tree artifact.Tree, commands []string, arch string) (Info, bool) {
	info, cc, err := c.plan(ctx, tree, arch)
	if err != nil {
		return Info{}, false
	}
	return c.earlier(artifact.Key(info, cc.Command, commands), tree, arch)
}

// cc is a C compiler, and the place that it is in.
type cc struct {
	tool.Compiler
	root toolroot.Root
}

// Check makes sure that there is a C compiler for an architecture; where it is not the
// one that the source names, unpinned says why.
func (c Compiler) Check(ctx context.Context, arch string) (unpinned string, err error) {
	found, err := c.find(ctx, arch)
	return found.root.Unpinned, err
}

func (c Compiler) find(ctx context.Context, arch string) (found cc, err error) {
	if _, err := architecture.Find(arch); err != nil {
		return cc{}, err
	}
	if found.root, err = c.Tools.Find(ctx, c.Source.Tools, arch); err != nil {
		return cc{}, fmt.Errorf("finding the C compiler for %s: %w", arch, err)
	}
	if found.root.Unpinned != "" {
		if arch != runtime.GOARCH {
			return cc{}, fmt.Errorf("finding the C compiler for %s: %s", arch, found.root.Unpinned)
		}
		if err := tool.Need("musl-gcc"); err != nil {
			return cc{}, err
		}
	}
	found.Compiler, err = tool.MuslGCC(ctx, arch, func(command run.Command) run.Command { return found.root.Command(command) })
	return found, err
}

// plan says how a tree will be compiled.
func (c Compiler) plan(ctx context.Context, tree artifact.Tree, arch string) (Info, cc, error) {
	cc, err := c.find(ctx, arch)
	if err != nil {
		return Info{}, cc, err
	}
	info := Info{
		Tree: tree, Arch: arch, Toolchain: c.Source.Toolchain.Version, CC: cc.GCC, Musl: cc.Musl,
		ToolchainModule: gotool.ModuleOf(c.Source.Toolchain), ToolchainSum: c.Source.Toolchain.Sums[gotool.Host()],
		Flags: Flags(c.Source, tree), Env: Env(arch, strings.Fields(cc.Command)[0]),
		Machine: runtime.GOARCH, Unpinned: cc.root.Unpinned,
	}
	switch {
	case info.Unpinned == "":
		info.Tools = c.Source.Tools.For(runtime.GOARCH, arch)
		info.Linked, info.Compilers = c.Source.Tools.Parts(arch), c.Source.Tools.Makers(arch)
	case info.Musl != "":
		info.Linked = []string{fmt.Sprintf("musl (= %s)", info.Musl)}
	}
	return info, cc, nil
}

func (c Compiler) record(tree artifact.Tree, arch string) string {
	return c.Dist.Work(tree.FullVersion(), arch, "binaries.json")
}

func (c Compiler) binDir(tree artifact.Tree, arch string) string {
	return c.Dist.Work(tree.FullVersion(), arch, "bin")
}

func (c Compiler) place(binaries []artifact.Binary, dir string) {
	for i := range binaries {
		binaries[i].Path = filepath.Join(dir, binaries[i].Name)
	}
}

// earlier finds the binaries of an earlier run, if they come from the same
// inputs and still have the same content.
func (c Compiler) earlier(key string, tree artifact.Tree, arch string) (Info, bool) {
	found, ok, err := artifact.Load[record](c.record(tree, arch))
	if err != nil || !ok || found.Key != key {
		return Info{}, false
	}
	c.place(found.Info.Binaries, c.binDir(tree, arch))
	for _, binary := range found.Info.Binaries {
		if sum, _, err := artifact.Digest(binary.Path); err != nil || sum != binary.SHA256 {
			return Info{}, false
		}
	}
	found.Info.Tree = tree
	return found.Info, true
}

func (c Compiler) build(ctx context.Context, tree artifact.Tree, commands []string, arch string, cc cc, out string) error {
	goTool, err := gotool.Verified(ctx, c.Source.Toolchain)
	if err != nil {
		return err
	}
	packages := inTree(commands)
	env := Env(arch, cc.Command)
	dir, done, err := c.samePath(ctx, tree)
	if err != nil {
		return fmt.Errorf("naming the tree to compile: %w", err)
	}
	defer done()
	env = append(env, "PWD="+dir) // or the go command sees through the link
	progress := c.progress(ctx, arch, goTool.Command(list(packages)...).In(dir).WithEnv(env...))
	defer progress.stop()
	build := append([]string{"build", "-v", "-o", out + "/"}, Flags(c.Source, tree)...)
	command := goTool.Command(append(build, packages...)...).In(dir).WithEnv(append(env, gotool.Roomy()...)...)
	command.Stderr = progress
	return cc.root.Command(command, append(goTool.Folders(), os.TempDir(), filepath.Dir(dir), tree.Dir, out)...).Run(ctx)
}

// inTree are the commands as the go command names packages.
func inTree(commands []string) []string {
	packages := make([]string, 0, len(commands))
	for _, command := range commands {
		packages = append(packages, "./"+command)
	}
	return packages
}

// list are the arguments by which the go command lists all that packages link.
func list(packages []string, more ...string) []string {
	return slices.Concat([]string{"list", "-deps", "-mod=vendor"}, common, more, packages)
}

// Linked are the paths of the modules that the commands link, each once, as the go
// command knows them without a compiler.
func (c Compiler) Linked(ctx context.Context, tree artifact.Tree, commands []string, arch string) ([]string, error) {
	goTool, err := gotool.Verified(ctx, c.Source.Toolchain)
	if err != nil {
		return nil, err
	}
	out, err := goTool.Command(list(inTree(commands), "-f={{with .Module}}{{.Path}}{{end}}")...).In(tree.Dir).WithEnv(Env(arch, "cc")...).Output(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing what %s %s links for %s: %w", c.Source.Name, tree.Version, arch, err)
	}
	return slices.Compact(slices.Sorted(slices.Values(strings.Fields(out)))), nil
}

// samePath shows the tree under an absolute path that is the same in every checkout,
// until done is called, and to nobody else meanwhile. The go command's cache has
// packages with C by their path, which is among the C compiler's options (-I), and
// would compile sqlite, for a minute or two, once for each place. Nothing that it
// makes depends on the path (-trimpath).
func (c Compiler) samePath(ctx context.Context, tree artifact.Tree) (path string, done func(), err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", nil, err
	}
	hash := sha256.Sum256([]byte(tree.Hash)) // whose characters no path can have
	dir := filepath.Join(cache, "spire-packages", "compile", hex.EncodeToString(hash[:]))
	// What is compiled is what was checked, and not another checkout's.
	unlock, err := artifact.Dist(dir).Lock(ctx, c.Log)
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "tree")
	_ = os.Remove(path) // of a run that was killed
	if err := os.Symlink(tree.Dir, path); err != nil {
		unlock()
		return "", nil, err
	}
	return path, func() {
		_ = os.Remove(path) // or the next one does
		unlock()
	}, nil
}
