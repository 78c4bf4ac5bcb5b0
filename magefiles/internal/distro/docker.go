package distro

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// ownerLabel marks our containers with the process that made them.
const ownerLabel = "spire-packages.owner"

// container is one booted root.
type container struct {
	name  string
	image string
	owner string // see owner.go
	// cgroups is the host's folder of the unified cgroup tree.
	cgroups string
	// network is whether it has this machine's.
	network bool
	// emulated is whether its programs are another architecture's.
	emulated bool
	// web is this machine's folder with a socket to serve inside; see web.go.
	web string
}

// create makes the container without starting it, so that files can be copied
// in before systemd boots. It is without --rm, for which see reboot: removing
// it is up to its owner and, after a kill, to the next run.
//
// systemd as PID 1 needs a writable unified cgroup tree, its own /run, and the
// right to mount. SYS_RESOURCE is left out because some hosts do not have it
// themselves, which is also why --privileged fails there. Docker's default
// /tmp is noexec. There is no network but loopback: rows can run side by side
// with SPIRE's ports in use, and a package that fetched something would fail.
func (c container) create() run.Command {
	args := []string{
		"create", "--name", c.name,
		"--hostname", "spire-packages",
		"--label", ownerLabel + "=" + c.owner,
		"--network", map[bool]string{false: "none", true: "host"}[c.network],
		"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
		"--security-opt", "seccomp=unconfined",
		"--security-opt", "apparmor=unconfined",
		"--cgroupns", "host",
		"--volume", c.cgroups + ":/sys/fs/cgroup:rw",
		"--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec",
		"--stop-signal", "SIGRTMIN+3", // systemd's word for "halt"
		"--env", "container=docker",
	}
	if c.web != "" {
		args = append(args, "--volume", c.web+":/"+webInside)
	}
	// As the entry point, it is started also where the image has another.
	return run.New("docker", append(args, "--entrypoint", "/lib/systemd/systemd", c.image)...)
}

// put unpacks a tar stream from standard input into the container's root.
func (c container) put() run.Command {
	return run.New("docker", "cp", "--quiet", "-", c.name+":/")
}

func (c container) start() run.Command { return run.New("docker", "start", c.name) }

func (c container) stop() run.Command { return run.New("docker", "stop", c.name) }

// remove ends and removes the container. That there is none is no error.
func (c container) remove(ctx context.Context) error {
	err := run.New("docker", "rm", "--force", "--volumes", c.name).Run(ctx)
	if err != nil && strings.Contains(err.Error(), "No such container") {
		return nil
	}
	return err
}

// discard removes the container also when the context is the reason to stop.
func (c container) discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
	defer cancel()
	if err := c.remove(ctx); err != nil {
		return fmt.Errorf("removing the container: %w", err)
	}
	return nil
}

// prepare runs a shell script with arguments in a container of this machine's
// network, without systemd and without more rights than Docker gives.
func (c container) prepare(script string, args []string) run.Command {
	words := []string{
		"run", "--name", c.name, "--label", ownerLabel + "=" + c.owner,
		"--network", "host", "--entrypoint", "/bin/sh", c.image, "-ec", script, "sh",
	}
	return run.New("docker", append(words, args...)...)
}

// commit keeps the container's files as an image. Without its label, which would
// make every container of the image one of ours.
func (c container) commit(tag string, changes ...string) run.Command {
	args := []string{"commit"}
	for _, change := range append(changes, "LABEL "+ownerLabel+"=") {
		args = append(args, "--change", change)
	}
	return run.New("docker", append(args, c.name, tag)...)
}

// exec runs a program inside, with the given KEY=value variables.
func (c container) exec(vars []string, args ...string) run.Command {
	words := []string{"exec"}
	for _, v := range vars {
		words = append(words, "--env", v)
	}
	return run.New("docker", append(append(words, c.name), args...)...)
}

func imageExists(tag string) run.Command {
	return run.New("docker", "image", "inspect", "--format", "{{.Id}}", tag)
}

func importImage(tarball, tag string) run.Command {
	return run.New("docker", "import", tarball, tag)
}

func pullImage(reference, arch string) run.Command {
	return run.New("docker", "pull", "--quiet", "--platform", "linux/"+arch, reference)
}

// listOwned lists our containers, running or not: name, tab, owner.
func listOwned() run.Command {
	return run.New("docker", "ps", "--all", "--filter", "label="+ownerLabel,
		"--format", `{{.Names}}`+"\t"+`{{.Label "`+ownerLabel+`"}}`)
}

// reachable asks Docker's daemon for a sign of life.
func reachable(ctx context.Context) error {
	if !run.Have("docker") {
		return fmt.Errorf("%w: Docker's client is missing (`setup:test` installs it)", ErrSkip)
	}
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := run.New("docker", "version", "--format", "{{.Server.Version}}").Output(asking)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: Docker's daemon does not answer (`setup:test` starts it): %s", ErrSkip, lastLine(err))
	}
	return nil
}

// lastLine is the end of what a failed command said, where the cause is.
func lastLine(err error) string {
	text := err.Error()
	var failed *run.Error
	if errors.As(err, &failed) && failed.Stderr != "" {
		text = failed.Stderr
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// settleTime is how long containerd may take to clear away a stopped container.
const settleTime = time.Second

// reboot halts systemd and starts it again on the same files; /run and /tmp
// come back empty, as on a machine.
//
// It is not "docker restart": there, now and then, containerd is still clearing
// away the old container when the new one is up, finds it by the same cgroup,
// and kills it; with --rm, Docker then removes it under our hands.
func (c container) reboot(ctx context.Context) error {
	if err := c.stop().Run(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	return c.start().Run(ctx)
}

// bootTime is how long systemd may take. It needs a second or two, on a busy
// machine ten times that.
const bootTime = 60 * time.Second

// booted waits until systemd has started all there is to start. Failed units
// do not stop a boot: it gives their names.
func (c container) booted(ctx context.Context, patience int) (failed []string, err error) {
	limit := bootTime * time.Duration(patience)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("systemd was not up after %s", limit))
	defer cancel()
	last := ""
	for {
		state, err := c.exec(nil, "systemctl", "is-system-running").Output(ctx)
		switch state {
		case "running":
			return nil, nil
		case "degraded":
			return c.failedUnits(ctx)
		}
		if err != nil && strings.HasSuffix(lastLine(err), " is not running") {
			return nil, c.ended(ctx)
		}
		if ctx.Err() == nil { // else err only says that it was interrupted
			last = strings.TrimSpace(state + " " + lastLine(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for systemd (%s): %w", last, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ended is what a container said last that did not stay up.
func (c container) ended(ctx context.Context) error {
	said, err := run.New("docker", "logs", "--tail", "5", c.name).Combined(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("systemd ended at once: %s", strings.Join(strings.Fields(said), " "))
}

func (c container) failedUnits(ctx context.Context) ([]string, error) {
	units, err := c.exec(nil, "systemctl", "list-units", "--failed", "--plain", "--no-legend").Output(ctx)
	var names []string
	for line := range strings.Lines(units) {
		names = append(names, strings.Fields(line)[0])
	}
	return names, err
}
