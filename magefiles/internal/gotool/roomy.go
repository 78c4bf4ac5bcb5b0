package gotool

import (
	"fmt"
	"runtime"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Roomy are variables, as KEY=value, that let compilers keep their garbage
// where there is memory for it, which changes nothing that they make. Collecting
// it was measured to take a fifth of their processor time.
//
// The largest package (AWS' ec2) takes 3 GiB at the usual setting, 4 GiB at
// GOGC=400 and 6 GiB where nothing is collected. At a limit of 2 GiB it took
// half as long again as without any of this, so a limit is a wide one or none.
func Roomy() []string { return roomy(tool.FreeMemory(), runtime.NumCPU()) }

// roomy is Roomy where so many bytes are free for so many processors. The go
// command runs a compiler on each, and half is left to a second go command.
func roomy(free int64, processors int) []string {
	each := free / int64(processors) / 2
	switch {
	case each >= 4<<30:
		return []string{"GOGC=off", fmt.Sprintf("GOMEMLIMIT=%dMiB", each>>20)}
	case each >= 3<<29:
		return []string{"GOGC=400"}
	}
	return nil
}
