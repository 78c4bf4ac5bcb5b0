// Package vm takes the packages through scenarios on a whole machine: a kernel
// of its own, a network card, a TPM, and a reboot that is one.
//
// The machine is Debian in QEMU, by software where KVM does not work. QEMU and
// swtpm come from a container, so that every host runs the same ones and needs
// no more than Docker. How they are started is in tests/vm/driver.
package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Suite is the Debian release that the machine and its tools are of. QEMU of
// the one before corrupts what it runs by software.
const Suite = "trixie"

// ToolPackages are what Machine.Tools has on top of a minimal base: QEMU, the
// TPM, what carries HTTP between them, and what makes a disk of a tarball.
func ToolPackages() []string {
	return []string{"e2fsprogs", "libarchive13t64", "qemu-system-x86", "socat", "swtpm", "swtpm-tools"}
}

// RootPackages are what Machine.Root has on top of a minimal base: what an
// image for a cloud has, and tools to set up a TPM.
func RootPackages() []string {
	return []string{
		"apparmor", "ca-certificates", "curl", "dbus", "gpg", "gpg-agent", "linux-image-cloud-amd64",
		"openssl", "systemd", "systemd-sysv", "tpm2-tools", "udev",
	}
}

// Machine is a machine that is made, used once and forgotten.
type Machine struct {
	Tools string // image in Docker with ToolPackages
	Root  string // tarball of a root with RootPackages
	// Owner is a label, KEY=value, that says whose the containers are.
	Owner     string
	Cache     string // folder of disks, kept between runs
	Reports   string // folder that gets what the machine said
	Driver    string // folder of the scripts that run the machine
	Scenarios string // folder of the scenario scripts
	Library   string // folder that they have as lib
	// Folders are further folders that the machine gets, by their names inside.
	Folders map[string]string
	// Web is a folder with a Unix socket named http that answers HTTP. The
	// machine, which reaches nothing else, has it at http://127.0.0.1:8000.
	Web string
	// Elsewhere is a folder with the debs of a server that the machine can reach, and of
	// what invites to it, or "". The machine gets the invitation by its firmware.
	Elsewhere string
	// Vars are variables of the scripts, as KEY=value.
	Vars []string
	// Log gets one line for each thing that happens.
	Log io.Writer
}

// limit bounds a machine's life. By software on two cores that are busy with
// much else, nine minutes were seen.
const limit = 20 * time.Minute

// Run makes the machine, plays the scenarios on it, one after the other, and
// has it power off. Every scenario has a result, in the same order; the error
// is for what prevented that, and for a context that ended.
func (m Machine) Run(ctx context.Context, scenarios []string) ([]Result, error) {
	for _, name := range scenarios {
		if _, err := os.Stat(filepath.Join(m.Scenarios, name+".sh")); err != nil {
			return nil, fmt.Errorf("testing on a machine: looking for the scenario %s: %w", name, err)
		}
	}
	results, err := m.run(ctx, scenarios)
	if err != nil {
		return nil, fmt.Errorf("testing on a machine: %w", err)
	}
	return results, nil
}

func (m Machine) run(ctx context.Context, scenarios []string) ([]Result, error) {
	said, err := listen(m.Reports, m.Log)
	if err != nil {
		return nil, err
	}
	defer said.Close()
	disk, err := m.disk(ctx, said)
	if err != nil {
		return nil, err
	}
	payload, err := m.payload(scenarios)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(payload)
	said.say("booting")
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was not done after %s", limit))
	defer cancel()
	err = m.live(limited, disk, payload, said)
	if ctx.Err() != nil {
		return nil, err
	}
	return said.results(scenarios, err), nil
}

// live is the machine's life, from its boot until it powered off. However it
// ends, its container is gone then; if this process is killed, its standard
// input ends, at which it gives up by itself.
func (m Machine) live(ctx context.Context, disk, payload string, said io.Writer) (err error) {
	alive, end, err := os.Pipe()
	if err != nil {
		return err
	}
	defer alive.Close()
	defer end.Close()
	name := fmt.Sprintf("spire-packages-vm-%d", os.Getpid())
	defer func() { err = errors.Join(err, container.Container{Name: name}.Discard(ctx)) }()
	command := m.container(name, disk, payload)
	command.Stdin, command.Stdout = alive, said
	return command.Run(ctx)
}

// container is the command that runs the machine.
func (m Machine) container(name, disk, payload string) run.Command {
	c := container.Container{
		Name: name, Image: m.Tools, Label: m.Owner, Network: "none", Remove: true, Stdin: true,
		Env:     []string{fmt.Sprintf("SECONDS_TO_LIVE=%.0f", limit.Seconds())},
		Volumes: []string{m.Driver + ":/driver:ro", disk + ":/machine:ro", payload + ":/payload:ro", m.Web + ":/web:ro", m.Reports + ":/out"},
	}
	if m.Elsewhere != "" {
		c.Volumes = append(c.Volumes, m.Elsewhere+":/elsewhere:ro")
	}
	if _, err := os.Stat(kvm); err == nil {
		c.Devices = []string{kvm}
	}
	return c.Run("sh", "/driver/launch.sh")
}

// kvm is the kernel's virtual machines. That it is there does not mean that it
// works, which tests/vm/driver finds out.
const kvm = "/dev/kvm"

// payload is a folder with what the machine gets: at each boot it is unpacked
// in /opt/spire-packages.
func (m Machine) payload(scenarios []string) (dir string, err error) {
	if dir, err = os.MkdirTemp("", "spire-packages-machine-"); err != nil {
		return "", err
	}
	if err := m.gather(dir, scenarios); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("gathering what the machine gets: %w", err)
	}
	return dir, nil
}

// gather copies the scripts and writes the variables.
func (m Machine) gather(top string, scenarios []string) error {
	copies := map[string]string{"driver": m.Driver, "scenarios": m.Scenarios, "scenarios/lib": m.Library}
	maps.Copy(copies, m.Folders)
	for name, from := range copies {
		if err := os.CopyFS(filepath.Join(top, name), os.DirFS(from)); err != nil {
			return fmt.Errorf("copying %s: %w", from, err)
		}
	}
	vars := append([]string{"FORMAT=deb", "CLIENT=apt", "ARCH=amd64", "STANDIN=", "SCENARIOS=" + strings.Join(scenarios, " ")}, m.Vars...)
	return os.WriteFile(filepath.Join(top, "vars"), []byte(environment(vars)), 0o644)
}

// environment is variables in the form of systemd's EnvironmentFile.
func environment(vars []string) string {
	var b strings.Builder
	for _, v := range vars {
		key, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "%s=%q\n", key, value)
	}
	return b.String()
}
