package tool

import (
	"os"
	"strconv"
	"strings"
)

// FreeMemory is how many bytes the kernel can give away without swapping
// (proc(5), MemAvailable).
func FreeMemory() int64 {
	content, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemAvailable:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 1 << 30 // enough for any one package
}
