package gotool

import (
	"runtime"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Roomy are variables, as KEY=value, that let compilers keep their garbage
// where there is memory for it, which changes nothing that they make. Collecting
// it was measured to take a sixth of their processor time. The largest package
// takes about 1 GiB at the usual setting, so that only few come near the limit.
func Roomy() []string { return roomy(tool.FreeMemory(), runtime.NumCPU()) }

// roomy is Roomy where so many bytes are free for so many processors.
func roomy(free int64, processors int) []string {
	if free/int64(processors) < 4<<30 {
		return nil
	}
	return []string{"GOGC=off", "GOMEMLIMIT=2GiB"}
}
