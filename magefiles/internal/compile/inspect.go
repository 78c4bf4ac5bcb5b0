package compile

import (
	"context"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// inspect makes sure of each binary in dir what a package's users rely on, and
// describes it.
func (c Compiler) inspect(ctx context.Context, info Info, commands []string, dir string) ([]artifact.Binary, error) {
	var binaries []artifact.Binary
	for _, command := range commands {
		binary := artifact.Binary{Name: pkgdef.Built(c.Source.Name, command), Arch: info.Arch}
		binary.Path = filepath.Join(dir, binary.Name)
		ask := func(ctx context.Context, program ...string) error {
			return saysVersion(ctx, Reported(info.Tree), program...)
		}
		if slices.Contains(c.Plugins, command) {
			ask = saysPlugin
		}
		if err := c.check(ctx, binary, ask); err != nil {
			return nil, fmt.Errorf("%s: %w", binary.Name, err)
		}
		var err error
		if binary.Linked, binary.Compilers, err = made(binary.Path, info); err != nil {
			return nil, err
		}
		if binary.SHA256, binary.Size, err = artifact.Digest(binary.Path); err != nil {
			return nil, err
		}
		binaries = append(binaries, binary)
	}
	return binaries, nil
}

// check makes sure that a binary is static and, where something here runs it, that ask,
// which gets the words that call it, finds nothing wrong.
func (c Compiler) check(ctx context.Context, binary artifact.Binary, ask func(context.Context, ...string) error) error {
	if err := CheckStatic(binary.Path, architecture.Of(binary.Arch).ELF); err != nil {
		return err
	}
	emulator, ok := tool.Emulator(binary.Arch)
	if !ok {
		fmt.Fprintf(c.Log, "compile %s: %s was not run: nothing here runs %s\n", binary.Arch, binary.Name, binary.Arch)
		return nil
	}
	return ask(ctx, append(slices.Clone(emulator), binary.Path)...)
}

// saysVersion makes sure of the version that a program was stamped with.
func saysVersion(ctx context.Context, version string, program ...string) error {
	said, err := run.Command{Name: program[0], Args: append(program[1:], "--version"), Env: []string{}}.Combined(ctx)
	if err != nil {
		return fmt.Errorf("asking it for its version: %w", err)
	}
	if said := strings.TrimSpace(said); said != version {
		return fmt.Errorf("its version is %q, not %q", said, version)
	}
	return nil
}

// notByHand is what a plugin answers whoever is not SPIRE. The words are those of go-plugin,
// by which the SDK serves all of them.
const notByHand = "This binary is a plugin."

// saysPlugin makes sure that a program is a plugin, which has no version to say.
func saysPlugin(ctx context.Context, program ...string) error {
	said, err := run.Command{Name: program[0], Args: program[1:], Env: []string{}}.Combined(ctx)
	if err == nil || !strings.HasPrefix(said, notByHand) {
		return fmt.Errorf("it is no plugin, which would have said %q: %q (%w)", notByHand, said, err)
	}
	return nil
}

// CheckStatic makes sure that a file is a program for the machine that needs
// no other file to run.
func CheckStatic(path string, machine elf.Machine) error {
	file, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("reading it as ELF: %w", err)
	}
	defer file.Close()
	if file.Machine != machine {
		return fmt.Errorf("it is for %s, not %s", file.Machine, machine)
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("it is not static: it names an interpreter")
		}
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("reading its libraries: %w", err)
	}
	if len(libraries) > 0 {
		return fmt.Errorf("it is not static: it needs %s", strings.Join(libraries, ", "))
	}
	return nil
}

// made names what is in a binary beside its modules, and what made it: Go, and where C
// was linked in, the C compiler, with what it brings. They are in the order that
// dpkg-gencontrol gives them.
func made(path string, info Info) (linked, compilers []string, err error) {
	build, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the build information of %s: %w", filepath.Base(path), err)
	}
	version := strings.TrimPrefix(build.GoVersion, "go")
	minor := strings.Join(strings.Split(version, ".")[:2], ".")
	linked = []string{fmt.Sprintf("golang-%s (= %s)", minor, version)}
	compilers = slices.Clone(linked)
	file, err := elf.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	// A compiler leaves its name in this section; Go's own linker has none.
	if file.Section(".comment") != nil {
		linked, compilers = append(linked, info.Linked...), append(compilers, info.Compilers...)
	}
	slices.Sort(linked)
	slices.Sort(compilers)
	return linked, compilers, nil
}
