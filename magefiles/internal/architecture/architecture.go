// Package architecture has the architectures that packages are made for. Everybody calls
// them otherwise; a new one is a new row of the table, and nothing else.
package architecture

import (
	"cmp"
	"debug/elf"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Architecture is one architecture, by the names that it has.
type Architecture struct {
	Go     string // by which it is called wherever nothing else is said
	GNU    string // triplet: the C compiler's prefix, and Debian's folder of libraries
	Debian string // of debs, in apt's indexes, and of Debian's roots
	RPM    string // of rpms, and of the folders that dnf and zypper look into
	ISA    string // rpm's word for it in what a package provides, such as spire-agent(x86-64)
	ELF    elf.Machine
	QEMU   string // of the emulator for programs, to the kernel, and its command
	// Level is the setting of the go command for the oldest processors that a program
	// is to run on; empty where the go command has none.
	Level string
	// C is what the C compiler has to be told of musl, beside where it is; mostly nothing.
	C string
	// Runner is the machine that GitHub has of it, on which nothing is emulated; empty
	// where it has none, see Hosted.
	Runner string
}

// all are sorted by Go's names.
var all = []Architecture{
	{
		Go: "amd64", GNU: "x86_64-linux-gnu", Debian: "amd64", RPM: "x86_64", ISA: "x86-64",
		ELF: elf.EM_X86_64, QEMU: "qemu-x86_64", Level: "GOAMD64=v1", Runner: "ubuntu-24.04",
	},
	{
		Go: "arm64", GNU: "aarch64-linux-gnu", Debian: "arm64", RPM: "aarch64", ISA: "aarch-64",
		ELF: elf.EM_AARCH64, QEMU: "qemu-aarch64", Level: "GOARM64=v8.0", Runner: "ubuntu-24.04-arm",
	},
	{
		Go: "ppc64le", GNU: "powerpc64le-linux-gnu", Debian: "ppc64el", RPM: "ppc64le", ISA: "ppc-64",
		ELF: elf.EM_PPC64, QEMU: "qemu-ppc64le", Level: "GOPPC64=power8",
		C: "-mlong-double-64", // glibc's long double has 128 bits, and ld does not mix them
	},
	{
		Go: "riscv64", GNU: "riscv64-linux-gnu", Debian: "riscv64", RPM: "riscv64", ISA: "riscv-64",
		ELF: elf.EM_RISCV, QEMU: "qemu-riscv64", Level: "GORISCV64=rva20u64",
	},
	{
		Go: "s390x", GNU: "s390x-linux-gnu", Debian: "s390x", RPM: "s390x", ISA: "s390-64",
		ELF: elf.EM_S390, QEMU: "qemu-s390x",
	},
}

// All are the architectures that packages are made for, and that a release has.
func All() []Architecture { return slices.Clone(all) }

// Usual is the one that is named where any would do.
func Usual() Architecture { return all[0] }

// Native are those that GitHub has machines of.
func Native() []Architecture {
	return slices.DeleteFunc(All(), func(a Architecture) bool { return a.Runner == "" })
}

// Find is the architecture with a name of Go's; one that there is no row of is an
// error.
func Find(name string) (Architecture, error) {
	if i := slices.IndexFunc(all, func(a Architecture) bool { return a.Go == name }); i >= 0 {
		return all[i], nil
	}
	return Architecture{}, fmt.Errorf("architecture %q is not one of %s", name, strings.Join(Names(all), ", "))
}

// Of is Find where the name was checked before; another one has no names at all.
func Of(name string) Architecture {
	found, _ := Find(name)
	return found
}

// Own is this machine's.
func Own() Architecture { return Of(runtime.GOARCH) }

// Names are Go's names of architectures.
func Names(of []Architecture) []string { return list(of, func(a Architecture) string { return a.Go }) }

// Debian are Debian's.
func Debian(of []Architecture) []string {
	return list(of, func(a Architecture) string { return a.Debian })
}

// RPM are rpm's.
func RPM(of []Architecture) []string { return list(of, func(a Architecture) string { return a.RPM }) }

// Hosted is the machine of GitHub's that makes the architecture's packages and tests
// them: its own, or the usual architecture's, which compiles across and emulates.
func (a Architecture) Hosted() string { return cmp.Or(a.Runner, Usual().Runner) }

// Matrix is architectures, with the machines that make their packages, as JSON for a
// workflow's strategy.matrix.
func Matrix(of []Architecture) (string, error) {
	type machine struct {
		Arch   string `json:"arch"`
		Runner string `json:"runner"`
	}
	var matrix struct {
		Include []machine `json:"include"`
	}
	for _, one := range of {
		matrix.Include = append(matrix.Include, machine{one.Go, one.Hosted()})
	}
	text, err := json.Marshal(matrix)
	return string(text), err
}

func list(of []Architecture, name func(Architecture) string) []string {
	names := make([]string, len(of))
	for i, one := range of {
		names[i] = name(one)
	}
	return names
}

// Emulators are the programs that run the architecture's on another one, the
// preferred one first.
func (a Architecture) Emulators() []string { return []string{a.QEMU + "-static", a.QEMU} }
