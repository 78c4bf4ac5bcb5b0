package compile

import (
	"context"
	"os"
	"slices"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
)

// library are packages of Go's own library that stand on most of the others
// that SPIRE uses.
var library = []string{"net/http", "net/http/httputil", "crypto/x509", "database/sql", "html/template", "encoding/xml", "go/format", "archive/tar", "testing"}

// Warm compiles Go's own library into the go command's cache, on one
// processor, until it is done or ctx ends. While the source is fetched and
// unpacked the others have nothing to do. A failure is of no consequence: the
// build does what is not done.
func (c Compiler) Warm(ctx context.Context, arch string) {
	goTool, err := gotool.Verified(ctx, c.Source.Toolchain)
	if err != nil {
		return
	}
	cc, err := c.find(ctx, arch)
	if err != nil {
		return
	}
	args := slices.Concat([]string{"build", "-p=1"}, common, library)
	command := goTool.Command(args...).In("/").WithEnv(append(Env(arch, cc.Command), gotool.Roomy()...)...)
	_ = cc.root.Command(command, append(goTool.Folders(), os.TempDir())...).Run(ctx)
}
