package tool

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// other is an architecture that this machine is not of.
func other() string {
	if runtime.GOARCH == "arm64" {
		return "amd64"
	}
	return "arm64"
}

// machine is a PATH with nothing but programs that are pretended. Each writes
// down how it was called.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T, programs ...string) machine {
	t.Helper()
	m := machine{t, t.TempDir()}
	t.Setenv("PATH", m.dir)
	t.Setenv("DEBIAN_FRONTEND", "")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(m.dir, "cache"))
	if err := os.WriteFile(m.calls(), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		m.add(program, "")
	}
	return m
}

func (m machine) calls() string { return filepath.Join(m.dir, "calls.txt") }

// add pretends a program, which does what the script says.
func (m machine) add(program, script string) {
	m.t.Helper()
	text := "#!/bin/sh\necho \"" + program + " $*${DEBIAN_FRONTEND:+ ($DEBIAN_FRONTEND)}\" >>'" + m.calls() + "'\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(m.dir, program), []byte(text), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// called is how the programs were called, but for those that only ask.
func (m machine) called() []string {
	m.t.Helper()
	content, err := os.ReadFile(m.calls())
	if err != nil {
		m.t.Fatal(err)
	}
	calls := []string{}
	for line := range strings.Lines(string(content)) {
		if !strings.HasPrefix(line, "docker version") {
			calls = append(calls, strings.TrimSuffix(line, "\n"))
		}
	}
	return calls
}

// asUser runs the rest of the test as nobody, where it is root.
func (m machine) asUser() {
	m.t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	const nobody = 65534
	for dir := m.dir; dir != filepath.Clean(os.TempDir()) && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Chmod(m.calls(), 0o666); err != nil {
		m.t.Fatal(err)
	}
	if err := syscall.Setresuid(-1, nobody, -1); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := syscall.Setresuid(-1, 0, -1); err != nil {
			panic(err) // every later test would run as somebody else
		}
	})
}

func asRootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("what root does is seen by root only")
	}
}

func TestNeed(t *testing.T) {
	newMachine(t, "patch", "rpm")
	if err := Need("patch", "rpm"); err != nil {
		t.Error(err)
	}
	if err := Need(); err != nil {
		t.Error(err)
	}
	err := Need("patch", "musl-gcc", "lintian", "qemu-aarch64")
	var missing Missing
	if !errors.As(err, &missing) {
		t.Fatalf("%T is no Missing", err)
	}
	if diff := cmp.Diff([]string{"musl-gcc", "lintian", "qemu-aarch64"}, missing.Programs); diff != "" {
		t.Error(diff)
	}
	want := "musl-gcc is missing (it compiles and links the server's sqlite); lintian is missing (it checks the debs); " +
		"qemu-aarch64 is missing (it works for another architecture): install what is needed with `go run magefile.go setup`"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestNeedsAreWhole(t *testing.T) {
	for program, need := range needs {
		if need.why == "" || len(need.packages) == 0 {
			t.Errorf("%s: %+v", program, need)
		}
		for name := range need.packages {
			if !slices.ContainsFunc(managers, func(m manager) bool { return m.name == name }) {
				t.Errorf("%s: nobody is called %s", program, name)
			}
		}
	}
	if !slices.IsSorted(All()) || len(All()) != len(needs) {
		t.Errorf("All() is %q", All())
	}
}

func TestCheckArch(t *testing.T) {
	for arch, want := range map[string]string{
		"amd64": "", "arm64": "",
		"":       `architecture "" is not one of amd64, arm64`,
		"x86_64": `architecture "x86_64" is not one of amd64, arm64`,
		"../x":   `architecture "../x" is not one of amd64, arm64`,
	} {
		if err := CheckArch(arch); text(err) != want {
			t.Errorf("%q: %v", arch, err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// allBut are all programs without some.
func allBut(missing ...string) []string {
	return slices.DeleteFunc(slices.Collect(maps.Keys(needs)), func(name string) bool { return slices.Contains(missing, name) })
}

func TestInstall(t *testing.T) {
	for name, test := range map[string]struct {
		manager string
		missing []string
		user    bool // not root
		want    []string
		log     string
	}{
		"all is there":             {"apt-get", nil, false, nil, "setup: all tools are there\n"},
		"all is there, for a user": {"apt-get", nil, true, nil, "setup: all tools are there\n"},
		"apt": {"apt-get", []string{"musl-gcc", "lintian"}, false, []string{
			"apt-get update -qq (noninteractive)",
			"apt-get install --yes --no-install-recommends lintian musl-tools (noninteractive)",
		}, "setup: lintian is missing (it checks the debs): package lintian\n" +
			"setup: musl-gcc is missing (it compiles and links the server's sqlite): package musl-tools\n" +
			"setup: installing: apt-get install --yes --no-install-recommends lintian musl-tools\n"},
		"a package that has two, and its companions": {"apt-get", []string{"docker", "dockerd", "iptables"}, false, []string{
			"apt-get update -qq (noninteractive)",
			"apt-get install --yes --no-install-recommends containerd docker.io iptables runc (noninteractive)",
		}, "setup: installing: apt-get install --yes --no-install-recommends containerd docker.io iptables runc\n"},
		"dnf": {"dnf", []string{"musl-gcc", "shellcheck"}, false,
			[]string{"dnf install --assumeyes --setopt=install_weak_deps=False ShellCheck musl-gcc"},
			"setup: installing: dnf install --assumeyes --setopt=install_weak_deps=False ShellCheck musl-gcc\n"},
		"zypper": {"zypper", []string{"musl-gcc", "man"}, false,
			[]string{"zypper --non-interactive install --no-recommends man musl-devel"},
			"setup: installing: zypper --non-interactive install --no-recommends man musl-devel\n"},
		"no package of it": {"zypper", []string{"lintian"}, false, nil,
			"setup: lintian is missing (it checks the debs), and zypper has no package of it: checks that need it will be skipped\nsetup: all tools are there\n"},
		"by sudo": {"apt-get", []string{"patch"}, true, []string{
			"sudo apt-get update -qq (noninteractive)",
			"sudo apt-get install --yes --no-install-recommends patch (noninteractive)",
		}, "setup: installing: sudo apt-get install --yes --no-install-recommends patch\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, append(allBut(test.missing...), test.manager, "sudo")...)
			if test.user {
				m.asUser()
			} else {
				asRootOnly(t)
			}
			var log strings.Builder
			meanwhile := false
			installer := Installer{Log: &log, Meanwhile: func(context.Context) { meanwhile = true }}
			if err := installer.Install(t.Context(), []string{runtime.GOARCH}); err != nil {
				t.Fatal(err)
			}
			if installs := len(test.want) > 0; meanwhile != installs {
				t.Errorf("something ran meanwhile: %t, where something is installed: %t", meanwhile, installs)
			}
			if diff := cmp.Diff(append([]string{}, test.want...), m.called()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log:\n%s\nshould have:\n%s", log.String(), test.log)
			}
		})
	}
}

// Who may not install learns what, and by which command.
func TestInstallRefused(t *testing.T) {
	m := newMachine(t, append(allBut("patch", "musl-gcc"), "apt-get")...)
	m.add("sudo", "echo 'sudo: a password is required' >&2; exit 1")
	m.asUser()
	var log strings.Builder
	err := Installer{Log: &log}.Install(t.Context(), nil)
	want := "could not install musl-tools patch; ask somebody who may to run `sudo apt-get install --yes --no-install-recommends musl-tools patch`: "
	if !strings.HasPrefix(text(err), want) || !strings.Contains(text(err), "a password is required") {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff([]string{"sudo apt-get update -qq (noninteractive)"}, m.called()); diff != "" {
		t.Error(diff)
	}
}

func TestInstallErrors(t *testing.T) {
	for name, test := range map[string]struct {
		programs []string
		arches   []string
		want     string
	}{
		"no package manager":   {nil, nil, "none of apt-get, dnf and zypper is here: install by hand: " + strings.Join(All(), ", ")},
		"unknown architecture": {[]string{"apt-get"}, []string{"riscv64"}, `architecture "riscv64" is not one of amd64, arm64`},
		"another one by dnf":   {append(allBut("patch"), "dnf"), []string{other()}, "setup for " + other() + " works on Debian and Ubuntu only: elsewhere build on a machine of that architecture"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, test.programs...)
			var log strings.Builder
			if err := (Installer{Log: &log}).Install(t.Context(), test.arches); text(err) != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if calls := m.called(); len(calls) > 0 {
				t.Errorf("something was done: %q", calls)
			}
		})
	}
}

func TestCrossPackages(t *testing.T) {
	known := architectures[other()]
	for name, test := range map[string]struct {
		have []string
		want []string
	}{
		"nothing":           {nil, []string{known.deb, "qemu-user-static", "arch-test", "binfmt-support"}},
		"compiler":          {[]string{known.gnu + "-gcc"}, []string{"qemu-user-static", "arch-test", "binfmt-support"}},
		"emulator":          {[]string{known.emulators[0]}, []string{known.deb}},
		"the other of both": {[]string{known.gnu + "-gcc", known.emulators[1]}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			newMachine(t, test.have...)
			got, err := crossPackages(managers[0], []string{other()})
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestEmulator(t *testing.T) {
	known := architectures[other()]
	newMachine(t)
	if prefix, ok := Emulator(runtime.GOARCH); !ok || prefix != nil {
		t.Errorf("this machine's own: %q, %v", prefix, ok)
	}
	if prefix, ok := Emulator(other()); ok {
		t.Errorf("nothing is here, but %q", prefix)
	}
	for _, program := range slices.Backward(known.emulators) { // the first is preferred
		m := machine{t, os.Getenv("PATH")}
		m.add(program, "")
		if prefix, ok := Emulator(other()); !ok || !slices.Equal(prefix, []string{program}) {
			t.Errorf("%s is here, but %q, %v", program, prefix, ok)
		}
	}
}

func TestMuslGCCMissing(t *testing.T) {
	setup := "install what is needed with `" + Setup + "`"
	cross := "the C compiler and library for " + other() + " are missing: install them with `" + Setup + " -arch=" + other() + "`"
	gcc := architectures[other()].gnu + "-gcc"
	for name, test := range map[string]struct {
		have []string
		lib  bool
		arch string
		want string
	}{
		"own":             {nil, false, runtime.GOARCH, "musl-gcc is missing (it compiles and links the server's sqlite): " + setup},
		"nothing":         {[]string{"musl-gcc"}, false, other(), cross},
		"only a compiler": {[]string{"musl-gcc", gcc}, false, other(), cross},
		"only a library":  {[]string{"musl-gcc"}, true, other(), cross},
		"only for others": {[]string{gcc}, true, other(), ""},
		"unknown":         {nil, false, "s390x", `architecture "s390x" is not one of amd64, arm64`},
	} {
		t.Run(name, func(t *testing.T) {
			newMachine(t, test.have...)
			if test.lib {
				library(t)
			}
			if _, err := MuslGCC(t.Context(), test.arch); text(err) != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// library pretends that setup unpacked the other architecture's musl.
func library(t *testing.T) (dir string) {
	t.Helper()
	dir, err := muslDir(other())
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, muslVersion), []byte("1.2.3-1\n"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMuslGCC(t *testing.T) {
	gcc := architectures[other()].gnu + "-gcc"
	m := newMachine(t)
	m.add("musl-gcc", "echo 'cc (Debian) 12.2'; echo more")
	m.add(gcc, "echo 'other cc 12.2'; echo more")
	m.add("dpkg-query", "printf 1.2.3-9")
	dir := library(t)
	for arch, want := range map[string]Compiler{
		runtime.GOARCH: {Command: "musl-gcc", GCC: "cc (Debian) 12.2", Musl: "1.2.3-9"},
		other():        {Command: gcc + " -specs " + filepath.Join(dir, muslSpecs), GCC: "other cc 12.2", Musl: "1.2.3-1"},
	} {
		got, err := MuslGCC(t.Context(), arch)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(arch, diff, err)
		}
	}
	m.add("dpkg-query", "exit 1")
	m.add("rpm", "printf 1.2.4-2")
	if got, err := MuslGCC(t.Context(), runtime.GOARCH); err != nil || got.Musl != "1.2.4-2" {
		t.Errorf("by rpm: %+v, %v", got, err)
	}
	m.add("rpm", "echo package musl-devel is not installed; exit 1")
	if got, err := MuslGCC(t.Context(), runtime.GOARCH); err != nil || got.Musl != "" {
		t.Errorf("from no package: %+v, %v", got, err)
	}
	m.add("musl-gcc", "echo broken >&2; exit 1")
	if _, err := MuslGCC(t.Context(), runtime.GOARCH); !strings.Contains(text(err), "asking the C compiler for its version: ") {
		t.Errorf("the error is %v", err)
	}
}

func TestMuslDirWithASpace(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "my cache"))
	if _, err := muslDir(other()); !strings.Contains(text(err), "has a space in its name") || !strings.Contains(text(err), "set XDG_CACHE_HOME") {
		t.Errorf("the error is %v", err)
	}
}

// Another architecture's musl, by real debs that a pretended apt brings.
func TestInstallMusl(t *testing.T) {
	if err := Need("dpkg-deb"); err != nil {
		t.Skip(err)
	}
	programs := map[string]string{}
	for _, program := range []string{"dpkg-deb", "tar", "rm", "cp"} {
		file, err := exec.LookPath(program)
		if err != nil {
			t.Skipf("%s unpacks debs: %v", program, err)
		}
		programs[program] = file
	}
	musl := strings.Replace(architectures[other()].gnu, "-gnu", "-musl", 1)
	debs := deb(t, other(), "usr/lib/"+musl+"/"+muslSpecs, "-isystem /usr/include/"+musl+" -L/usr/lib/"+musl+" -L /usr/lib/other\n")
	m := newMachine(t)
	for program, file := range programs {
		if err := os.Symlink(file, filepath.Join(m.dir, program)); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := muslDir(other())
	if err != nil {
		t.Fatal(err)
	}
	m.add("apt-get", `case "$*" in *download*) echo no route to host >&2; exit 100;; esac`)
	wantErr := "downloading musl for " + other() + ": "
	if err := installMusl(t.Context(), other()); !strings.HasPrefix(text(err), wantErr) || !strings.Contains(text(err), "no route to host") {
		t.Errorf("the error is %v", err)
	}
	m.add("apt-get", "")
	if err := installMusl(t.Context(), other()); !strings.HasPrefix(text(err), "no package of musl for "+other()+" came down") || strings.Contains(text(err), "%!") {
		t.Errorf("the error is %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); len(left) > 0 {
		t.Errorf("failed, but there is %q", left)
	}
	m.add("apt-get", `case "$*" in *download*) cp '`+debs+`'/*.deb .;; esac`)
	if err := installMusl(t.Context(), other()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		muslVersion: "1.2.3-1\n",
		muslSpecs:   "-isystem " + dir + "/usr/include/" + musl + " -L" + dir + "/usr/lib/" + musl + " -L /usr/lib/other\n",
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for _, pattern := range []string{"apt", "*.deb"} {
		if left, _ := filepath.Glob(filepath.Join(dir, pattern)); len(left) > 0 {
			t.Errorf("%q was left", left)
		}
	}
	for _, call := range m.called() {
		for _, own := range []string{"APT::Architecture=" + other(), "Dir::State=" + filepath.Dir(dir), "Dir::Cache=" + filepath.Dir(dir), "Dir::State::Status=/dev/null"} {
			if strings.HasPrefix(call, "apt-get") && !strings.Contains(call, own) {
				t.Errorf("the system's own lists are used, without %s: %s", own, call)
			}
		}
	}
}

// deb makes a package of musl with one file, in the folder that it gives.
func deb(t *testing.T, arch, name, content string) (dir string) {
	t.Helper()
	root, dir := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		name:             content,
		"DEBIAN/control": "Package: musl-dev\nVersion: 1.2.3-1\nArchitecture: " + arch + "\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := run.New("dpkg-deb", "--build", "--root-owner-group", root, dir).Combined(t.Context()); err != nil {
		t.Fatal(err, out)
	}
	return dir
}
