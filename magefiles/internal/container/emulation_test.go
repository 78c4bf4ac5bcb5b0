package container

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
)

func TestEmulated(t *testing.T) {
	foreign := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	for name, test := range map[string]struct{ arch, entry, want string }{
		"our own":       {runtime.GOARCH, "", ""},
		"as it must be": {foreign, "enabled\ninterpreter /usr/libexec/qemu\nflags: PF\noffset 0\n", ""},
		"none":          {foreign, "", "setup:test -arch=" + foreign},
		"switched off":  {foreign, "disabled\ninterpreter /usr/libexec/qemu\nflags: PF\n", "switched off"},
		"not opened":    {foreign, "enabled\ninterpreter /usr/libexec/qemuF\nflags: P\n", "flag F"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if test.entry != "" {
				write(t, filepath.Join(dir, architecture.Of(foreign).QEMU), test.entry)
			}
			err := emulated(dir, test.arch)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.Is(err, ErrSkip) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want ErrSkip with %q", err, test.want)
			}
		})
	}
}
