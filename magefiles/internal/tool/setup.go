package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// manager is a system's package manager.
type manager struct {
	name    string
	refresh []string // arguments that read the lists of packages; nil if install does it
	install []string // arguments before the packages' names
	env     []string
}

var managers = []manager{
	{"apt-get", []string{"update", "-qq"}, []string{"install", "--yes", "--no-install-recommends"}, []string{"DEBIAN_FRONTEND=noninteractive"}},
	{"dnf", nil, []string{"install", "--assumeyes", "--setopt=install_weak_deps=False"}, nil},
	{"zypper", nil, []string{"--non-interactive", "install", "--no-recommends"}, nil},
}

// Installer installs the programs that are missing.
type Installer struct {
	Log io.Writer
	In  io.Reader // where sudo may ask for a password; nil if nobody is there
	// Meanwhile runs beside the package manager, which waits for the network and
	// the disk; its context ends with it. nil means nothing does.
	Meanwhile func(context.Context)
}

// Install makes sure that all programs are there, those for the given other
// architectures too, and that Docker's daemon answers. It says what it is
// about to install; where it may not, the error has the list and the command.
func (i Installer) Install(ctx context.Context, arches []string) error {
	arches = slices.DeleteFunc(slices.Clone(arches), func(arch string) bool { return arch == runtime.GOARCH })
	for _, arch := range arches {
		if err := CheckArch(arch); err != nil {
			return err
		}
	}
	packages, err := i.packages(arches)
	if err != nil {
		return err
	}
	if err := i.installPackages(ctx, packages); err != nil {
		return err
	}
	for _, arch := range arches {
		if err := i.cross(ctx, arch); err != nil {
			return err
		}
	}
	i.daemon(ctx)
	for _, arch := range arches {
		i.emulate(ctx, arch)
	}
	return nil
}

// emulate has the kernel run another architecture's programs, also in
// containers. Without it the tests there are skipped, with the reason.
func (i Installer) emulate(ctx context.Context, arch string) {
	const place = "/proc/sys/fs/binfmt_misc"
	name := strings.TrimSuffix(architectures[arch].emulators[0], "-static")
	if _, err := os.Stat(filepath.Join(place, name)); err == nil || !run.Have("update-binfmts") {
		return
	}
	enable := asRoot(manager{name: "sh"}, []string{"-c", "mountpoint -q " + place + " || mount -t binfmt_misc binfmt_misc " + place + "; update-binfmts --enable " + name})
	fmt.Fprintf(i.Log, "setup: %s\n", enable)
	if err := i.run(ctx, enable, nil); err != nil {
		fmt.Fprintf(i.Log, "setup: programs for %s cannot be run here: %v\n", arch, err)
	}
}

// packages lists the system's packages that have what is missing.
func (i Installer) packages(arches []string) ([]string, error) {
	system, err := theManager()
	if err != nil {
		return nil, err
	}
	var packages []string
	for _, program := range All() {
		name, known := needs[program].packages[system.name]
		switch {
		case run.Have(program):
		case known:
			fmt.Fprintf(i.Log, "setup: %s is missing (it %s): package %s\n", program, needs[program].why, name)
			packages = append(append(packages, name), companions[name]...)
		default:
			fmt.Fprintf(i.Log, "setup: %s is missing (it %s), and %s has no package of it: checks that need it will be skipped\n", program, needs[program].why, system.name)
		}
	}
	cross, err := crossPackages(system, arches)
	packages = append(packages, cross...)
	slices.Sort(packages)
	return slices.Compact(packages), err
}

// emulation is Debian's package of the emulators for programs.
const emulation = "qemu-user-static"

func crossPackages(system manager, arches []string) (packages []string, err error) {
	for _, arch := range arches {
		if system.name != "apt-get" {
			return nil, fmt.Errorf("setup for %s works on Debian and Ubuntu only: elsewhere build on a machine of that architecture", arch)
		}
		if !run.Have(architectures[arch].gnu + "-gcc") {
			packages = append(packages, architectures[arch].deb)
		}
		if _, ok := Emulator(arch); !ok {
			packages = append(append(packages, emulation), companions[emulation]...)
		}
	}
	return packages, nil
}

func theManager() (manager, error) {
	for _, m := range managers {
		if run.Have(m.name) {
			return m, nil
		}
	}
	return manager{}, fmt.Errorf("none of apt-get, dnf and zypper is here: install by hand: %s", strings.Join(All(), ", "))
}

func (i Installer) installPackages(ctx context.Context, packages []string) error {
	if len(packages) == 0 {
		fmt.Fprintln(i.Log, "setup: all tools are there")
		return nil
	}
	system, err := theManager()
	if err != nil {
		return err
	}
	install := asRoot(system, append(slices.Clone(system.install), packages...))
	fmt.Fprintf(i.Log, "setup: installing: %s\n", install)
	defer run.Beside(ctx, i.Meanwhile)()
	if system.refresh != nil {
		err = i.run(ctx, asRoot(system, system.refresh), system.env)
	}
	if err == nil {
		err = i.run(ctx, install, system.env)
	}
	if err != nil {
		return fmt.Errorf("could not install %s; ask somebody who may to run `%s`: %w", strings.Join(packages, " "), install, err)
	}
	return nil
}

// asRoot is a command of the package manager, by sudo for everyone but root.
func asRoot(system manager, args []string) run.Command {
	if os.Geteuid() == 0 {
		return run.New(system.name, args...)
	}
	return run.New("sudo", append([]string{system.name}, args...)...)
}

func (i Installer) run(ctx context.Context, command run.Command, env []string) error {
	command = command.WithEnv(env...)
	command.Stdin, command.Stdout, command.Stderr = i.In, i.Log, i.Log
	return command.Run(ctx)
}

func (i Installer) cross(ctx context.Context, arch string) error {
	if _, err := MuslGCC(ctx, arch); err == nil {
		return nil
	}
	fmt.Fprintf(i.Log, "setup: unpacking the C library musl for %s into the user's cache folder\n", arch)
	return installMusl(ctx, arch)
}

// daemonWait is how long a Docker daemon may take until it answers. The second
// way of starting it was measured at under 8 s.
const daemonWait = 30 * time.Second

// daemon starts Docker's daemon where none answers. That it cannot is no
// error: the tests that need it say so when they are skipped.
func (i Installer) daemon(ctx context.Context) {
	if !run.Have("dockerd") || answers(ctx) {
		return
	}
	fmt.Fprintln(i.Log, "setup: starting Docker's daemon")
	if os.Geteuid() != 0 {
		i.warn(i.run(ctx, run.New("sudo", "service", "docker", "start"), nil))
	} else if err := run.New("service", "docker", "start").Run(ctx); err != nil || !answers(ctx) {
		// A machine without a service manager, or without the right to raise a
		// limit as the service file wants it.
		i.warn(run.New("setsid", "--fork", "sh", "-c", "exec dockerd >/var/log/dockerd.log 2>&1").Run(ctx))
	}
	for end := time.Now().Add(daemonWait); !answers(ctx); time.Sleep(time.Second / 2) {
		if time.Now().After(end) || ctx.Err() != nil {
			i.warn(errors.New("it does not answer; see /var/log/dockerd.log"))
			return
		}
	}
}

func (i Installer) warn(err error) {
	if err != nil {
		fmt.Fprintf(i.Log, "setup: Docker's daemon: %v; tests in containers will be skipped\n", err)
	}
}

func answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return run.New("docker", "version", "--format", "{{.Server.Version}}").Run(ctx) == nil
}
