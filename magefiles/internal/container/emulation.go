package container

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
)

// binfmt is where the kernel lists who runs foreign programs.
const binfmt = "/proc/sys/fs/binfmt_misc"

// Emulated is an ErrSkip that says why programs of the architecture, by Go's name, do
// not run in containers here, if so.
func Emulated(arch string) error { return emulated(binfmt, arch) }

// emulated reads what the kernel has in a folder. The emulator is this machine's and
// not in the container: the kernel must have opened it beforehand, which is flag F.
func emulated(binfmt, arch string) error {
	if arch == runtime.GOARCH {
		return nil
	}
	entry, err := os.ReadFile(filepath.Join(binfmt, architecture.Of(arch).QEMU))
	switch {
	case err != nil:
		return fmt.Errorf("%w: the kernel has no emulator for %s (`setup:test -arch=%s` adds it)", ErrSkip, arch, arch)
	case !strings.HasPrefix(string(entry), "enabled\n"):
		return fmt.Errorf("%w: the emulator for %s is switched off (update-binfmts --enable %s)", ErrSkip, arch, architecture.Of(arch).QEMU)
	case !hasFlag(string(entry), "F"):
		return fmt.Errorf("%w: the emulator for %s is not seen from containers: register it with flag F, as qemu-user-static does", ErrSkip, arch)
	}
	return nil
}

func hasFlag(entry, flag string) bool {
	for line := range strings.Lines(entry) {
		if flags, found := strings.CutPrefix(line, "flags: "); found {
			return strings.Contains(flags, flag)
		}
	}
	return false
}

// Patience is how many times longer than on a machine with nothing else to do
// everything may take: other scenarios run beside it, and an emulated processor
// is slow.
func Patience(arch string) int {
	if arch == runtime.GOARCH {
		return 3
	}
	return 12
}
