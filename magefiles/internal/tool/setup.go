package tool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// manager is a system's package manager.
type manager struct {
	name    string
	refresh []string // arguments that read the lists of packages; nil if install does it
	install []string // arguments before the packages' names
	env     []string
	ask     run.Command                        // lists those of the named packages that there are
	reads   func(said string) (known []string) // the names in what it said
	none    int                                // its exit code where there are none of them
}

var managers = []manager{
	{
		name: "apt-get", refresh: []string{"update", "-qq"}, install: []string{"install", "--yes", "--no-install-recommends"},
		env: []string{"DEBIAN_FRONTEND=noninteractive"},
		ask: run.New("apt-cache", "policy"), reads: candidates,
	},
	{
		name: "dnf", install: []string{"install", "--assumeyes", "--setopt=install_weak_deps=False"},
		ask: run.New("dnf", "--quiet", "repoquery", "--queryformat", `%{name}\n`), reads: strings.Fields,
	},
	{
		name: "zypper", install: []string{"--non-interactive", "install", "--no-recommends"},
		ask: run.New("zypper", "--non-interactive", "--quiet", "search", "--match-exact", "--type", "package"), reads: secondColumn,
		none: 104, // ZYPPER_EXIT_INF_CAP_NOT_FOUND
	},
}

// candidates are the packages of which apt would install a version: a name that
// others merely mention, or provide, has none.
func candidates(said string) (known []string) {
	name := ""
	for line := range strings.Lines(said) {
		if line[0] != ' ' {
			name, _, _ = strings.Cut(line, ":")
		}
		if version, ok := strings.CutPrefix(line, "  Candidate: "); ok && strings.TrimSpace(version) != "(none)" {
			known = append(known, name)
		}
	}
	return known
}

func secondColumn(said string) (known []string) {
	for line := range strings.Lines(said) {
		if columns := strings.Split(line, "|"); len(columns) > 1 {
			known = append(known, strings.TrimSpace(columns[1]))
		}
	}
	return known
}

// Installer installs the programs that are missing.
type Installer struct {
	Log io.Writer
	In  io.Reader // where sudo may ask for a password; nil if nobody is there
	// Meanwhile runs beside the package manager, which waits for the network and
	// the disk; its context ends with it. nil means nothing does.
	Meanwhile func(context.Context)
	root      string // before the paths of the system's files, in tests
}

// Install makes sure that all that a use needs is there, for the given other
// architectures too, and for tests that Docker's daemon answers. It says what it
// is about to install; where it may not, the error has the list and the command.
// What the package manager does not have is left out if only tests need it: they
// are skipped, and say so.
func (i Installer) Install(ctx context.Context, use Use, arches []string) error {
	arches = slices.DeleteFunc(slices.Clone(arches), func(arch string) bool { return arch == runtime.GOARCH })
	for _, arch := range arches {
		if _, err := architecture.Find(arch); err != nil {
			return err
		}
	}
	system, err := theManager(use)
	if err != nil {
		return err
	}
	if err := i.provide(ctx, system, append(i.wants(system, use), crossWants(system, arches)...)); err != nil {
		return err
	}
	if use == Test {
		i.daemon(ctx)
	}
	for _, arch := range arches {
		i.emulate(ctx, arch)
	}
	return nil
}

// emulate has the kernel run another architecture's programs, also in
// containers. Without it the tests there are skipped, with the reason.
func (i Installer) emulate(ctx context.Context, arch string) {
	const place = "/proc/sys/fs/binfmt_misc"
	name := architecture.Of(arch).QEMU
	if _, err := os.Stat(filepath.Join(place, name)); err == nil || !i.have("update-binfmts") {
		return
	}
	enable := asRoot(manager{name: "sh"}, []string{"-c", "mountpoint -q " + place + " || mount -t binfmt_misc binfmt_misc " + place + "; update-binfmts --enable " + name})
	fmt.Fprintf(i.Log, "setup: %s\n", enable)
	if err := i.run(ctx, enable, nil); err != nil {
		fmt.Fprintf(i.Log, "setup: programs for %s cannot be run here: %v\n", arch, err)
	}
}

// want is something that is missing.
type want struct {
	program, why string
	choices      [][]string // the packages that bring it: the first choice that there is
	without      string     // what comes of it where it is not there; empty: nothing can be done
}

// newWant reads the alternatives that needs have.
func newWant(program, why, packages, without string) want {
	w := want{program: program, why: why, without: without}
	for choice := range strings.SplitSeq(packages, "|") {
		if names := strings.Fields(choice); len(names) > 0 {
			w.choices = append(w.choices, names)
		}
	}
	return w
}

// choose gives the packages to install, and what to say; ok is false where there
// are none, and the text is the reason.
func (w want) choose(system manager, known []string) (packages []string, text string, ok bool) {
	text = fmt.Sprintf("%s is missing (it %s)", w.program, w.why)
	missing := ""
	for _, choice := range w.choices {
		unknown := slices.IndexFunc(choice, func(name string) bool { return !slices.Contains(known, name) })
		if unknown < 0 {
			return choice, text + ": package " + strings.Join(choice, " "), true
		}
		missing = choice[unknown]
	}
	if missing == "" {
		return nil, text + ", and " + system.name + " has no package of it", false
	}
	return nil, text + ", and " + system.name + " knows no package " + missing, false
}

// without says what comes of it where a program is not there, empty where its use
// needs it.
func (n need) without(use Use) string {
	switch {
	case n.spare:
		return "where the C compiler is another than the source's, nobody else can make the same packages"
	case use == Test && n.uses&Build == 0:
		return "checks that need it will be skipped"
	}
	return ""
}

// wants are what a use needs and is not here. Tests go without, but for what they
// build with.
func (i Installer) wants(system manager, use Use) (wants []want) {
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if n := needs[name]; use.has(n.uses) && !i.have(name) {
			wants = append(wants, newWant(name, n.why, n.packages[system.name], n.without(use)))
		}
	}
	return wants
}

// have also looks where a user's PATH may not lead: the daemon's programs are there.
func (i Installer) have(name string) bool {
	there := func(path string) bool {
		_, err := os.Stat(i.root + path)
		return err == nil
	}
	if file := needs[name].file; file != "" {
		return there(file)
	}
	return run.Have(name) || there("/usr/sbin/"+name) || there("/sbin/"+name)
}

// emulation are the packages of the emulators for programs, by package manager;
// Debian's second ones are those of its suites after 13.
var emulation = map[string]string{
	"apt-get": "qemu-user-static arch-test binfmt-support | qemu-user qemu-user-binfmt arch-test binfmt-support",
	"dnf":     "qemu-user-static",
	"zypper":  "qemu-linux-user",
}

// crossWants are what runs other architectures' programs; what compiles them is made
// by the build.
func crossWants(system manager, arches []string) (wants []want) {
	for _, arch := range arches {
		if _, ok := Emulator(arch); !ok {
			wants = append(wants, newWant(architecture.Of(arch).Emulators()[0], "runs programs for "+arch, emulation[system.name], "they are built, and not run"))
		}
	}
	return wants
}

func theManager(use Use) (manager, error) {
	for _, m := range managers {
		if run.Have(m.name) {
			return m, nil
		}
	}
	return manager{}, fmt.Errorf("none of apt-get, dnf and zypper is here: install by hand: %s", strings.Join(Programs(use), ", "))
}

// provide installs what is wanted, by one call of the package manager.
func (i Installer) provide(ctx context.Context, system manager, wants []want) error {
	if len(wants) == 0 {
		fmt.Fprintln(i.Log, "setup: all tools are there")
		return nil
	}
	defer run.Beside(ctx, i.Meanwhile)()
	known, err := i.known(ctx, system, wants)
	if err != nil {
		return i.refused(system, firstChoices(wants), err)
	}
	packages, err := i.choose(system, wants, known)
	if err != nil || len(packages) == 0 {
		return err
	}
	install := asRoot(system, append(slices.Clone(system.install), packages...))
	fmt.Fprintf(i.Log, "setup: installing: %s\n", install)
	if err := i.run(ctx, install, system.env); err != nil {
		return i.refused(system, packages, err)
	}
	return nil
}

func (i Installer) refused(system manager, packages []string, err error) error {
	install := asRoot(system, append(slices.Clone(system.install), packages...))
	return fmt.Errorf("could not install %s; ask somebody who may to run `%s`: %w", strings.Join(packages, " "), install, err)
}

func firstChoices(wants []want) (packages []string) {
	for _, w := range wants {
		if len(w.choices) > 0 {
			packages = append(packages, w.choices[0]...)
		}
	}
	return sorted(packages)
}

func sorted(packages []string) []string {
	slices.Sort(packages)
	return slices.Compact(packages)
}

// known asks the package manager which of the packages there are, by lists that
// are of today: one unknown name would refuse all others.
func (i Installer) known(ctx context.Context, system manager, wants []want) ([]string, error) {
	var names []string
	for _, w := range wants {
		names = append(names, slices.Concat(w.choices...)...)
	}
	if len(names) == 0 {
		return nil, nil
	}
	if system.refresh != nil {
		if err := i.run(ctx, asRoot(system, system.refresh), system.env); err != nil {
			return nil, err
		}
	}
	ask := system.ask
	if ask.Name == system.name { // its lists are those that it installs by
		ask = asRoot(system, ask.Args)
	}
	ask.Args = append(slices.Clone(ask.Args), sorted(names)...)
	ask = ask.WithEnv("LC_ALL=C")
	ask.Stdin = i.In
	said, err := ask.Output(ctx)
	var failed *run.Error
	if system.none != 0 && errors.As(err, &failed) && failed.Code == system.none {
		return nil, nil
	}
	return system.reads(said), err
}

// choose says what is missing and which packages bring it. Nothing is installed
// where something vital cannot be.
func (i Installer) choose(system manager, wants []want, known []string) ([]string, error) {
	var packages, vital []string
	for _, w := range wants {
		choice, text, ok := w.choose(system, known)
		packages = append(packages, choice...)
		switch {
		case ok:
			fmt.Fprintf(i.Log, "setup: %s\n", text)
		case w.without == "":
			vital = append(vital, text)
		default:
			fmt.Fprintf(i.Log, "setup: %s: %s\n", text, w.without)
		}
	}
	if len(vital) > 0 {
		return nil, fmt.Errorf("nothing was installed: %s: add the repository that has it (such as EPEL, or Ubuntu's universe), or install it by hand", strings.Join(vital, "; "))
	}
	return sorted(packages), nil
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

// daemonWait is how long a Docker daemon may take until it answers. The second
// way of starting it was measured at under 8 s.
const daemonWait = 30 * time.Second

// daemon starts Docker's daemon where none answers. That it cannot is no
// error: the tests that need it say so when they are skipped.
func (i Installer) daemon(ctx context.Context) {
	if !i.have("dockerd") || answers(ctx) {
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
	return container.Answers(ctx) == nil
}
