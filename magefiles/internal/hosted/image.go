package hosted

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// socket is where Docker's daemon is asked, here and in the jobs.
const socket = "/var/run/docker.sock"

// runner makes the user. The folders are those of caches, which are mounted; root's
// own is on the way to the checkout, where that is root's.
const runner = `
groupmod --non-unique --gid "$1" docker
useradd --uid 1001 --create-home --shell /bin/bash --groups docker runner
echo 'runner ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/runner
printf %s "$2" >/usr/local/bin/node
chmod 0755 /usr/local/bin/node
install -d -o runner -g runner /home/runner/.cache /home/runner/.cache/go-build /home/runner/.cache/spire-packages /home/runner/.cache/spire-packages/tools /home/runner/go
chmod a+x /root
git config --system safe.directory ` + inside + `/origin.git
`

// NewImage makes the image of the machine: a Debian 13 with all that setup would
// install, so that it installs nothing, and the user that jobs run as.
func NewImage(ctx context.Context, roots *rootfs.Maker) (string, error) {
	info, err := os.Stat(socket)
	if err != nil {
		return "", fmt.Errorf("looking for Docker's daemon: %w", err)
	}
	node, err := scripts.ReadFile("node.sh")
	if err != nil {
		return "", err
	}
	from, err := roots.Image(ctx, "runner", matrix.Image{Suite: "trixie", Packages: append(tool.Packages("apt-get", tool.Test), "ca-certificates", "sudo")})
	if err != nil {
		return "", err
	}
	group := fmt.Sprint(info.Sys().(*syscall.Stat_t).Gid)
	return container.Derive(ctx, "runner", from, runner, []string{group, string(node)}, "USER runner")
}
