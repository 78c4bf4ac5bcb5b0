package tool

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Compiler is a C compiler that links against a static musl.
type Compiler struct {
	Command string // as the go command's CC wants it
	GCC     string // the compiler's own version line
	// Musl is the version of the system's package of musl; empty if unknown.
	Musl string
}

// CrossGCC is the name of a cross compiler that links against a static musl, and a
// script that is one where Debian's packages for it are, which have none. It is one
// program, as musl-gcc is: Go's linker asks the program alone what it can do. It takes
// that architecture's own libgcc, as a compiler there does; the cross compiler's was
// compiled by another release of gcc, and says so.
func CrossGCC(arch string) (name, script string) {
	gnu := architecture.Of(arch).GNU
	musl := strings.Replace(gnu, "-gnu", "-musl", 1)
	return musl + "-gcc", "#!/bin/sh\nfor own in /usr/lib/gcc/" + gnu + "/*/; do exec " + gnu + "-gcc \"$@\" -specs /usr/lib/" + musl + "/musl-gcc.specs \"-B$own\"; done\n"
}

// MuslGCC finds the compiler for an architecture. in shows a command the place that it
// is in: this machine, or a root. Another architecture's is in roots only.
func MuslGCC(ctx context.Context, arch string, in func(run.Command) run.Command) (Compiler, error) {
	if _, err := architecture.Find(arch); err != nil {
		return Compiler{}, err
	}
	found := Compiler{Command: "musl-gcc"}
	if arch != runtime.GOARCH {
		found.Command, _ = CrossGCC(arch)
	}
	version, err := in(run.New(found.Command, "--version")).Output(ctx)
	if err != nil {
		return Compiler{}, fmt.Errorf("asking the C compiler for its version: %w", err)
	}
	found.GCC, _, _ = strings.Cut(version, "\n")
	found.Musl = muslVersion(ctx, arch, in)
	return found, nil
}

func muslVersion(ctx context.Context, arch string, in func(run.Command) run.Command) string {
	version, err := in(run.New("dpkg-query", "--show", "--showformat=${Version}", "musl-dev:"+architecture.Of(arch).Debian)).Output(ctx)
	if err != nil { // no dpkg, or musl is not from a package
		version, err = in(run.New("rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}", "musl-devel")).Output(ctx)
	}
	if err != nil {
		return "" // rpm says on standard output that it knows none
	}
	return version
}

// Emulator is the command prefix that runs an architecture's binaries here:
// empty on such a machine itself, and ok is false where there is none.
func Emulator(arch string) (prefix []string, ok bool) {
	if arch == runtime.GOARCH {
		return nil, true
	}
	for _, program := range architecture.Of(arch).Emulators() {
		if run.Have(program) {
			return []string{program}, true
		}
	}
	return nil, false
}
