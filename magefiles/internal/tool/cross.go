package tool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// architecture is what is known of a target: GNU's name for it, and the
// programs for machines of another kind.
type architecture struct {
	gnu       string   // the compiler's prefix
	deb       string   // Debian's package of the cross compiler
	emulators []string // programs that run its binaries
}

// architectures are those that packages can be built for, by Go's names.
var architectures = map[string]architecture{
	"amd64": {"x86_64-linux-gnu", "gcc-x86-64-linux-gnu", []string{"qemu-x86_64-static", "qemu-x86_64"}},
	"arm64": {"aarch64-linux-gnu", "gcc-aarch64-linux-gnu", []string{"qemu-aarch64-static", "qemu-aarch64"}},
}

// CheckArch refuses an architecture that nothing is known of.
func CheckArch(arch string) error {
	if _, ok := architectures[arch]; !ok {
		return fmt.Errorf("architecture %q is not one of amd64, arm64", arch)
	}
	return nil
}

// Triplet is GNU's name for a machine of an architecture, by which Debian calls
// the folder of its libraries; empty for one that nothing is known of.
func Triplet(arch string) string { return architectures[arch].gnu }

// CompilerPackages are Debian's packages that compile for an architecture on
// this machine.
func CompilerPackages(arch string) []string {
	if arch == runtime.GOARCH {
		return []string{"gcc", "musl-tools"}
	}
	return []string{architectures[arch].deb, "libc6-dev-" + arch + "-cross"}
}

// Compiler is a C compiler that links against a static musl.
type Compiler struct {
	Command string // as the go command's CC wants it
	GCC     string // the compiler's own version line
	// Musl is the version of the system's package of musl; empty if unknown.
	Musl string
}

// MuslGCC finds the compiler for an architecture.
func MuslGCC(ctx context.Context, arch string) (Compiler, error) {
	if err := CheckArch(arch); err != nil {
		return Compiler{}, err
	}
	found, err := nativeMusl(ctx)
	if arch != runtime.GOARCH {
		found, err = crossMusl(arch)
	}
	if err != nil {
		return Compiler{}, err
	}
	words := strings.Fields(found.Command)
	version, err := run.New(words[0], "--version").Output(ctx)
	if err != nil {
		return Compiler{}, fmt.Errorf("asking the C compiler for its version: %w", err)
	}
	found.GCC, _, _ = strings.Cut(version, "\n")
	return found, nil
}

func nativeMusl(ctx context.Context) (Compiler, error) {
	if err := Need("musl-gcc"); err != nil {
		return Compiler{}, err
	}
	version, err := run.New("dpkg-query", "--show", "--showformat=${Version}", "musl-dev").Output(ctx)
	if err != nil { // no dpkg, or musl is not from a package
		version, err = run.New("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", "musl-devel").Output(ctx)
	}
	if err != nil {
		version = "" // rpm says on standard output that it knows none
	}
	return Compiler{Command: "musl-gcc", Musl: version}, nil
}

// muslDir is where setup unpacks another architecture's musl: outside the
// checkout, like the go command's caches, and not among the system's files.
func muslDir(arch string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for another architecture's C library: %w", err)
	}
	dir := filepath.Join(cache, "spire-packages", "musl-"+arch)
	if strings.ContainsAny(dir, " \t\n") {
		return "", fmt.Errorf("the cache folder %q has a space in its name, which the C compiler's command line cannot hold: set XDG_CACHE_HOME", dir)
	}
	return dir, nil
}

// files of muslDir beside the library itself.
const (
	muslSpecs   = "musl-gcc.specs"
	muslVersion = "VERSION"
)

func crossMusl(arch string) (Compiler, error) {
	gcc := architectures[arch].gnu + "-gcc"
	dir, err := muslDir(arch)
	if err != nil {
		return Compiler{}, err
	}
	version, err := os.ReadFile(filepath.Join(dir, muslVersion))
	if err != nil || !run.Have(gcc) {
		return Compiler{}, fmt.Errorf("the C compiler and library for %s are missing: install them with `%s -arch=%s`", arch, Setup, arch)
	}
	return Compiler{
		Command: gcc + " -specs " + filepath.Join(dir, muslSpecs),
		Musl:    strings.TrimSpace(string(version)),
	}, nil
}

// Emulator is the command prefix that runs an architecture's binaries here:
// empty on such a machine itself, and ok is false where there is none.
func Emulator(arch string) (prefix []string, ok bool) {
	if arch == runtime.GOARCH {
		return nil, true
	}
	for _, program := range architectures[arch].emulators {
		if run.Have(program) {
			return []string{program}, true
		}
	}
	return nil, false
}

// installMusl gets another architecture's musl by apt, with apt's own checks,
// but in folders of its own: the system's list of architectures and packages
// stays as it is.
func installMusl(ctx context.Context, arch string) error {
	dir, err := muslDir(arch)
	if err != nil {
		return err
	}
	return artifact.MakeDir(dir, func(into string) error {
		apt, err := privateApt(into, arch)
		if err != nil {
			return err
		}
		if _, err := apt("update", "-qq").Combined(ctx); err != nil {
			return fmt.Errorf("reading the package lists for %s, which an archive may have elsewhere (Ubuntu's has): build on a machine of that architecture: %w", arch, err)
		}
		if _, err := apt("download", "musl", "musl-dev").Combined(ctx); err != nil {
			return fmt.Errorf("downloading musl for %s: %w", arch, err)
		}
		return unpackMusl(ctx, into, dir, arch)
	})
}

func privateApt(dir, arch string) (func(args ...string) run.Command, error) {
	state, cache := filepath.Join(dir, "apt", "state"), filepath.Join(dir, "apt", "cache")
	err := errors.Join(
		os.MkdirAll(filepath.Join(state, "lists", "partial"), 0o755),
		os.MkdirAll(filepath.Join(cache, "archives", "partial"), 0o755))
	return func(args ...string) run.Command {
		options := []string{
			"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch,
			"-o", "Dir::State=" + state, "-o", "Dir::State::Status=/dev/null", "-o", "Dir::Cache=" + cache,
			// The unpriviledged download user cannot read a private folder.
			"-o", "APT::Sandbox::User=",
		}
		return run.New("apt-get", append(options, args...)...).In(dir)
	}, err
}

// unpackMusl unpacks the downloaded debs and points the compiler's specs at
// the place where they will be.
func unpackMusl(ctx context.Context, into, final, arch string) error {
	debs, err := filepath.Glob(filepath.Join(into, "*.deb"))
	if err != nil {
		return fmt.Errorf("looking for musl for %s: %w", arch, err)
	}
	if len(debs) == 0 {
		return fmt.Errorf("no package of musl for %s came down", arch)
	}
	for _, deb := range debs {
		if err := run.New("dpkg-deb", "--extract", deb, into).Run(ctx); err != nil {
			return fmt.Errorf("unpacking %s: %w", filepath.Base(deb), err)
		}
		version, err := run.New("dpkg-deb", "--field", deb, "Version").Output(ctx)
		if err == nil {
			err = os.WriteFile(filepath.Join(into, muslVersion), []byte(version+"\n"), 0o644)
		}
		if err = errors.Join(err, os.Remove(deb)); err != nil {
			return fmt.Errorf("unpacking musl for %s: %w", arch, err)
		}
	}
	musl := strings.Replace(architectures[arch].gnu, "-gnu", "-musl", 1)
	specs, err := os.ReadFile(filepath.Join(into, "usr", "lib", musl, muslSpecs))
	if err != nil {
		return fmt.Errorf("musl for %s has no specs: %w", arch, err)
	}
	moved := strings.NewReplacer(
		"/usr/lib/"+musl, filepath.Join(final, "usr", "lib", musl),
		"/usr/include/"+musl, filepath.Join(final, "usr", "include", musl)).Replace(string(specs))
	return errors.Join(
		os.RemoveAll(filepath.Join(into, "apt")),
		os.WriteFile(filepath.Join(into, muslSpecs), []byte(moved), 0o644))
}
