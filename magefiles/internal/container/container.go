// Package container is Docker: its images and containers, and what this machine has
// for them. It is the only user of the docker command.
package container

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Container is one container, there or to be made. What is empty is as Docker has it
// by itself.
type Container struct {
	Name  string
	Image string
	// Label is KEY=value; see Driver.Claim.
	Label string
	// Network is none, or host, which is this machine's, or the name of a Network.
	Network string
	Alias   string // what others on that Network call it
	User    string // NUMBER:NUMBER; see Caller
	Dir     string // where the program works
	// Env are variables, as KEY=value, or as KEY, whose value is the docker command's.
	Env []string
	// Volumes are folders of this machine, as FROM:TO or FROM:TO:ro.
	Volumes    []string
	Devices    []string
	Entrypoint string
	Remove     bool // once it has ended
	Init       bool // a first process that passes signals on
	Stdin      bool // the program reads the docker command's

	hostname string
	rights   []string // flags that give some, or take them
}

// Caller is the user who runs this, as a container's.
func Caller() string { return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()) }

// WithSystemd is the container with systemd as PID 1, for which cgroups is the host's
// folder of the unified cgroup tree; see CgroupTree.
//
// It needs that tree writable, its own /run, and the right to mount. SYS_RESOURCE is
// left out because some hosts do not have it themselves, which is also why --privileged
// fails there. Docker's default /tmp is noexec.
func (c Container) WithSystemd(cgroups string) Container {
	c.hostname = "spire-packages"
	c.rights = []string{
		"--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE",
		"--security-opt", "seccomp=unconfined",
		"--security-opt", "apparmor=unconfined",
		"--cgroupns", "host",
		"--volume", cgroups + ":/sys/fs/cgroup:rw",
		"--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec",
		"--stop-signal", "SIGRTMIN+3", // systemd's word for "halt"
		"--env", "container=docker",
	}
	c.Entrypoint = "/lib/systemd/systemd" // started also where the image has another one
	return c
}

// WithoutRights is the container with no right that its user has not by itself.
func (c Container) WithoutRights() Container {
	c.rights = []string{"--security-opt", "no-new-privileges", "--cap-drop", "ALL"}
	return c
}

// flags are the container as docker create and docker run take it.
func (c Container) flags() (flags []string) {
	for _, one := range []struct {
		flag string
		set  bool
	}{{"--rm", c.Remove}, {"--init", c.Init}, {"--interactive", c.Stdin}} {
		if one.set {
			flags = append(flags, one.flag)
		}
	}
	add := func(flag string, values ...string) {
		for _, value := range values {
			if value != "" {
				flags = append(flags, flag, value)
			}
		}
	}
	add("--name", c.Name)
	add("--hostname", c.hostname)
	add("--label", c.Label)
	add("--network", c.Network)
	add("--network-alias", c.Alias)
	flags = append(flags, c.rights...)
	add("--user", c.User)
	add("--workdir", c.Dir)
	add("--env", c.Env...)
	add("--volume", c.Volumes...)
	add("--device", c.Devices...)
	add("--entrypoint", c.Entrypoint)
	return flags
}

func docker(words ...string) run.Command { return run.New("docker", words...) }

// as is the docker command that makes the container for a program.
func (c Container) as(command string, program []string) run.Command {
	words := append([]string{command}, c.flags()...)
	return docker(append(append(words, c.Image), program...)...)
}

// Create makes the container without starting it, so that files can be copied in
// before. Removing it is up to its owner and, after a kill, to the next run. The
// program is its entry point's arguments, or, where it has none, itself.
func (c Container) Create(program ...string) run.Command { return c.as("create", program) }

// Run makes the container and runs the program in it.
func (c Container) Run(program ...string) run.Command { return c.as("run", program) }

// Script runs a shell script with arguments, which ends at the first error.
func (c Container) Script(script string, args []string) run.Command {
	c.Entrypoint = "/bin/sh"
	return c.Run(append([]string{"-ec", script, "sh"}, args...)...)
}

// Put unpacks a tar stream from standard input into the container's root.
func (c Container) Put() run.Command { return docker("cp", "--quiet", "-", c.Name+":/") }

// Take copies the content of a folder of the container's into one of this machine's.
func (c Container) Take(from, to string) run.Command {
	return docker("cp", "--quiet", c.Name+":"+from+"/.", to)
}

// Start starts the container.
func (c Container) Start() run.Command { return docker("start", c.Name) }

// Attach starts the container, says what it says, and ends with it.
func (c Container) Attach() run.Command { return docker("start", "--attach", c.Name) }

// Stop ends what runs in the container.
func (c Container) Stop() run.Command { return docker("stop", c.Name) }

// Exec runs a program inside, with the given KEY=value variables.
func (c Container) Exec(vars []string, program ...string) run.Command {
	words := []string{"exec"}
	for _, v := range vars {
		words = append(words, "--env", v)
	}
	return docker(append(append(words, c.Name), program...)...)
}

// Commit keeps the container's files as an image, with the changes that Docker takes.
// Without its label, which would make every container of the image one of ours.
func (c Container) Commit(tag string, changes ...string) run.Command {
	args := []string{"commit"}
	for _, change := range append(changes, "LABEL "+ownerLabel+"=") {
		args = append(args, "--change", change)
	}
	return docker(append(args, c.Name, tag)...)
}

// remove ends and removes the container. That there is none, or that it is going, is
// no error.
func (c Container) remove(ctx context.Context) error {
	err := docker("rm", "--force", "--volumes", c.Name).Run(ctx)
	if err != nil && (strings.Contains(err.Error(), "No such container") || strings.Contains(err.Error(), "already in progress")) {
		return nil
	}
	return err
}

// StepTime bounds what only Docker does: create, copy, start, remove.
const StepTime = 5 * time.Minute

// Discard ends and removes the container, also when the context is the reason to
// stop. That there is none is no error.
func (c Container) Discard(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StepTime)
	defer cancel()
	if err := c.remove(ctx); err != nil {
		return fmt.Errorf("removing the container: %w", err)
	}
	return nil
}
