package tool

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
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
	text := "#!/bin/sh\nprintf '%s\\n' \"" + program + " $*${DEBIAN_FRONTEND:+ ($DEBIAN_FRONTEND)}\" >>'" + m.calls() + "'\n" + script + "\n"
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
		"qemu-aarch64 is missing (it works for another architecture): install what is needed with `go run magefile.go setup:test`"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// Nobody is told to install a browser who wants a compiler.
func TestMissingNamesTheLeast(t *testing.T) {
	for want, programs := range map[string][]string{
		"setup`":         {"musl-gcc", "rpmbuild"},
		"setup:release`": {"gpg", "createrepo_c"},
		"setup:test`":    {"gpg", "musl-gcc"}, // the only one that has both
	} {
		if err := (Missing{programs}); !strings.HasSuffix(err.Error(), ": install what is needed with `go run magefile.go "+want) {
			t.Errorf("%q: %v, want %s", programs, err, want)
		}
	}
}

func TestNeedsAreWhole(t *testing.T) {
	for program, need := range needs {
		if need.why == "" || need.uses == 0 || len(need.packages) == 0 {
			t.Errorf("%s: %+v", program, need)
		}
		for name := range need.packages {
			if !slices.ContainsFunc(managers, func(m manager) bool { return m.name == name }) {
				t.Errorf("%s: nobody is called %s", program, name)
			}
		}
	}
	if !slices.IsSorted(All()) || len(All()) != len(needs)-1 { // the keyring is no program
		t.Errorf("All() is %q", All())
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// keyring is the one need that is a file.
const keyring = "the keyring of Debian's archive"

// allBut are all programs without some.
func allBut(missing ...string) []string {
	return slices.DeleteFunc(All(), func(name string) bool { return slices.Contains(missing, name) })
}

// manages pretends a package manager that lacks some packages.
func (m machine) manages(name string, lacks ...string) {
	m.t.Helper()
	asked := func(skip, answer string) string {
		return "shift " + skip + "; for name in \"$@\"; do case ' " + strings.Join(lacks, " ") + " ' in *\" $name \"*) ;; *) " + answer + ";; esac; done"
	}
	switch name {
	case "apt-get":
		m.add(name, "")
		m.add("apt-cache", asked("1", `echo "$name:"; echo "  Installed: (none)"; echo "  Candidate: 1.0"`))
	case "dnf":
		m.add(name, `case "$*" in *repoquery*) `+asked("4", `echo "$name"`)+`;; esac`)
	case "zypper":
		m.add(name, `case "$*" in *search*) `+asked("6", `echo "   | $name | what it is | package"; found=yes`)+`; [ "$found" ] || exit 104;; esac`)
	}
}

// installer is one for the machine, with the keyring where it is not said to be missing.
func (m machine) installer(log io.Writer, missing ...string) Installer {
	m.t.Helper()
	file := filepath.Join(m.dir, needs[keyring].file)
	if !slices.Contains(missing, keyring) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o644)); err != nil {
			m.t.Fatal(err)
		}
	}
	return Installer{Log: log, root: m.dir}
}

// done is how the programs were called that change something.
func (m machine) done() []string {
	return slices.DeleteFunc(m.called(), func(call string) bool {
		return strings.HasPrefix(call, "apt-cache ") || strings.Contains(call, " repoquery ") || strings.Contains(call, " search ")
	})
}

// names are spread over lines here, and one space apart in a command.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

const (
	byApt    = "apt-get install --yes --no-install-recommends "
	byDnf    = "dnf install --assumeyes --setopt=install_weak_deps=False "
	byZypper = "zypper --non-interactive install --no-recommends "
)

// What a bare machine of each distribution gets, by one call.
func TestInstallByDistribution(t *testing.T) {
	asRootOnly(t)
	deb := byApt + "debian-archive-keyring dpkg-dev fakechroot fakeroot gcc gzip libc6-dev mmdebstrap mount musl-tools patch rpm uidmap xz-utils"
	skipped := ": checks that need it will be skipped\n"
	others := ": where the C compiler is another than the source's, nobody else can make the same packages\n"
	for name, test := range map[string]struct {
		manager string
		lacks   string // of the packages that setup knows
		use     Use
		want    string
		says    []string
	}{
		"debian-12, build":   {"apt-get", "docker-cli", Build, deb, nil},
		"debian-13, build":   {"apt-get", "", Build, deb, nil},
		"debian-12, release": {"apt-get", "docker-cli", Release, byApt + "apt-utils createrepo-c git gpg gpg-agent rpm rsync", nil},
		"debian-12, test": {"apt-get", "docker-cli", Test, byApt + `apt-utils chromium cmark-gfm containerd createrepo-c dash
			debian-archive-keyring docker.io dpkg dpkg-dev fakechroot fakeroot gcc git gpg gpg-agent gzip iptables libc6-dev libxml2-utils lintian man-db
			mmdebstrap mount musl-tools patch piuparts rpm rpmlint rsync runc shellcheck systemd uidmap xz-utils`,
			[]string{"setup: docker is missing (it runs the test containers): package docker.io containerd runc iptables\n"}},
		"debian-13, test": {"apt-get", "", Test, byApt + `apt-utils chromium cmark-gfm containerd createrepo-c dash
			debian-archive-keyring docker-cli docker.io dpkg dpkg-dev fakechroot fakeroot gcc git gpg gpg-agent gzip iptables libc6-dev libxml2-utils lintian
			man-db mmdebstrap mount musl-tools patch piuparts rpm rpmlint rsync runc shellcheck systemd uidmap xz-utils`,
			[]string{"setup: docker is missing (it runs the test containers): package docker-cli\n"}},
		"ubuntu-24.04, build": {"apt-get", "chromium docker-cli", Build, deb, nil},
		"ubuntu-24.04, test": {"apt-get", "chromium docker-cli", Test, byApt + `apt-utils cmark-gfm containerd createrepo-c dash
			debian-archive-keyring docker.io dpkg dpkg-dev fakechroot fakeroot gcc git gpg gpg-agent gzip iptables libc6-dev libxml2-utils lintian man-db
			mmdebstrap mount musl-tools patch piuparts rpm rpmlint rsync runc shellcheck systemd uidmap xz-utils`,
			[]string{"setup: chromium is missing (it looks at the repository's front page), and apt-get knows no package chromium" + skipped}},
		"fedora, build":   {"dnf", "", Build, byDnf + "debian-keyring dpkg-dev fakechroot fakeroot gcc glibc-devel gzip mmdebstrap musl-gcc musl-libc-static patch rpm-build shadow-utils util-linux xz", nil},
		"fedora, release": {"dnf", "", Release, byDnf + "apt-utils createrepo_c git gnupg2 rpm rsync", nil},
		"fedora, test": {"dnf", "lintian cmark-gfm", Test, byDnf + `ShellCheck apt-utils chromium createrepo_c dash debian-keyring
			docker-cli dpkg dpkg-dev fakechroot fakeroot gcc git glibc-devel gnupg2 gzip iptables-nft libxml2 man-db mmdebstrap moby-engine musl-gcc
			musl-libc-static patch rpm rpm-build rpmlint rsync shadow-utils systemd util-linux xz`,
			[]string{
				"setup: lintian is missing (it checks the debs), and dnf knows no package lintian" + skipped,
				"setup: piuparts is missing (it installs, upgrades and purges the debs), and dnf has no package of it" + skipped,
			}},
		"el with EPEL, build": {"dnf", "moby-engine docker-cli mmdebstrap", Build, byDnf + "debian-keyring dpkg-dev fakechroot fakeroot gcc glibc-devel gzip musl-gcc musl-libc-static patch rpm-build shadow-utils util-linux xz", []string{others}},
		"el with EPEL, test": {"dnf", "moby-engine docker-cli mmdebstrap lintian cmark-gfm", Test, byDnf + `ShellCheck apt-utils chromium
			createrepo_c dash debian-keyring dpkg dpkg-dev fakechroot fakeroot gcc git glibc-devel gnupg2 gzip iptables-nft libxml2 man-db musl-gcc
			musl-libc-static patch rpm rpm-build rpmlint rsync shadow-utils systemd util-linux xz`,
			[]string{"setup: dockerd is missing (it runs the test containers), and dnf knows no package moby-engine" + skipped}},
		"opensuse, build": {"zypper", "musl-devel-static", Build, byZypper + "dpkg-devel fakeroot gcc glibc-devel gzip musl-devel patch rpm-build shadow util-linux xz", []string{others}},
		"opensuse, test": {"zypper", "musl-devel-static", Test, byZypper + `ShellCheck chromium createrepo_c dash docker dpkg dpkg-devel
			fakeroot gcc git glibc-devel gpg2 gzip iptables libxml2-tools man musl-devel patch rpm rpm-build rpmlint rsync shadow systemd util-linux xz`,
			[]string{"setup: mmdebstrap is missing (it makes the roots that packages are built and tested in), and zypper has no package of it" + others}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.manages(test.manager, strings.Fields(test.lacks)...)
			var log strings.Builder
			if err := m.installer(&log, keyring).Install(t.Context(), test.use, nil); err != nil {
				t.Fatal(err)
			}
			want := []string{line(test.want)}
			if test.manager == "apt-get" {
				want = []string{"apt-get update -qq (noninteractive)", want[0] + " (noninteractive)"}
			}
			if diff := cmp.Diff(want, m.done()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			for _, says := range append(test.says, "setup: installing: "+line(test.want)+"\n") {
				if !strings.Contains(log.String(), says) {
					t.Errorf("the log:\n%s\nshould have:\n%s", log.String(), says)
				}
			}
		})
	}
}

// What a use cannot do without is no word but an error, before anything is installed.
func TestInstallLacksWhatIsVital(t *testing.T) {
	asRootOnly(t)
	repositories := ": add the repository that has it (such as EPEL, or Ubuntu's universe), or install it by hand"
	musl := "musl-gcc is missing (it compiles and links the server's sqlite), and dnf knows no package musl-gcc"
	dpkg := "dpkg-source is missing (it makes the Debian source package), and dnf knows no package dpkg-dev"
	for name, test := range map[string]struct {
		manager, lacks string
		use            Use
		want           string
	}{
		"el without EPEL, build":  {"dnf", "musl-gcc dpkg-dev", Build, "nothing was installed: " + dpkg + "; " + musl + repositories},
		"el without EPEL, test":   {"dnf", "musl-gcc dpkg-dev lintian", Test, "nothing was installed: " + dpkg + "; " + musl + repositories},
		"without the static half": {"dnf", "musl-libc-static", Build, "nothing was installed: musl-gcc is missing (it compiles and links the server's sqlite), and dnf knows no package musl-libc-static" + repositories},
		"opensuse, release":       {"zypper", "", Release, "nothing was installed: apt-ftparchive is missing (it makes the apt repository), and zypper has no package of it" + repositories},
		"nothing is known at all": {"zypper", "patch", Build, "nothing was installed: patch is missing (it applies the patches to the source), and zypper knows no package patch" + repositories},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			if strings.HasPrefix(name, "nothing") {
				m = newMachine(t, allBut("patch")...)
			}
			m.manages(test.manager, strings.Fields(test.lacks)...)
			var log strings.Builder
			if err := m.installer(&log).Install(t.Context(), test.use, nil); text(err) != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if done := m.done(); len(done) > 0 {
				t.Errorf("something was done: %q", done)
			}
		})
	}
}

func TestInstall(t *testing.T) {
	patch := []string{"patch"}
	for name, test := range map[string]struct {
		manager string
		missing []string
		use     Use
		user    bool // not root
		want    []string
		log     string
	}{
		"all is there":               {"apt-get", nil, Test, false, nil, "setup: all tools are there\n"},
		"all is there, for a user":   {"apt-get", nil, Test, true, nil, "setup: all tools are there\n"},
		"nothing that a build needs": {"apt-get", []string{"lintian", "docker", "chromium", "gpg"}, Build, false, nil, "setup: all tools are there\n"},
		"apt": {"apt-get", patch, Build, false,
			[]string{"apt-get update -qq (noninteractive)", byApt + "patch (noninteractive)"},
			"setup: patch is missing (it applies the patches to the source): package patch\nsetup: installing: " + byApt + "patch\n"},
		"the keyring alone": {"apt-get", []string{keyring}, Test, false,
			[]string{"apt-get update -qq (noninteractive)", byApt + "debian-archive-keyring (noninteractive)"},
			"setup: the keyring of Debian's archive is missing (it proves to mmdebstrap that a root is Debian's): package debian-archive-keyring\n"},
		"dnf":    {"dnf", patch, Build, false, []string{byDnf + "patch"}, "setup: installing: " + byDnf + "patch\n"},
		"zypper": {"zypper", patch, Build, false, []string{byZypper + "patch"}, "setup: installing: " + byZypper + "patch\n"},
		"no package of it": {"zypper", []string{"lintian"}, Test, false, nil,
			"setup: lintian is missing (it checks the debs), and zypper has no package of it: checks that need it will be skipped\n"},
		"by sudo": {"apt-get", patch, Build, true,
			[]string{"sudo apt-get update -qq (noninteractive)", "sudo " + byApt + "patch (noninteractive)"},
			"setup: installing: sudo " + byApt + "patch\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, append(allBut(test.missing...), "sudo")...)
			m.manages(test.manager)
			var log strings.Builder
			meanwhile := false
			installer := m.installer(&log, test.missing...)
			installer.Meanwhile = func(context.Context) { meanwhile = true }
			if test.user {
				m.asUser()
			} else {
				asRootOnly(t)
			}
			if err := installer.Install(t.Context(), test.use, []string{runtime.GOARCH}); err != nil {
				t.Fatal(err)
			}
			if installs := len(test.want) > 0; installs && !meanwhile {
				t.Error("nothing ran meanwhile")
			}
			if diff := cmp.Diff(append([]string{}, test.want...), m.done()); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the log:\n%s\nshould have:\n%s", log.String(), test.log)
			}
		})
	}
}

// The daemon's programs are where a user's PATH does not lead.
func TestInstallLooksWhereRootDoes(t *testing.T) {
	m := newMachine(t, allBut("dockerd", "iptables")...)
	m.manages("apt-get")
	sbin := machine{t, filepath.Join(m.dir, "usr", "sbin")}
	if err := os.MkdirAll(sbin.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sbin.add("dockerd", "")
	sbin.add("iptables", "")
	var log strings.Builder
	if err := m.installer(&log).Install(t.Context(), Test, nil); err != nil || log.String() != "setup: all tools are there\n" {
		t.Errorf("%v, the log:\n%s", err, &log)
	}
}

// apt mentions packages that it cannot install.
func TestCandidates(t *testing.T) {
	const said = `chromium:
  Installed: (none)
  Candidate: (none)
  Version table:
patch:
  Installed: 2.7.6-7
  Candidate: 2.7.6-8
  Version table:
     2.7.6-8 500
 *** 2.7.6-7 100
`
	if got := candidates(said); !slices.Equal(got, []string{"patch"}) {
		t.Errorf("%q", got)
	}
}

// Who may not install learns what, and by which command.
func TestInstallRefused(t *testing.T) {
	m := newMachine(t, allBut("patch", "musl-gcc")...)
	m.manages("apt-get")
	m.add("sudo", "echo 'sudo: a password is required' >&2; exit 1")
	var log strings.Builder
	installer := m.installer(&log)
	m.asUser()
	err := installer.Install(t.Context(), Build, nil)
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
		"no package manager":   {nil, nil, "none of apt-get, dnf and zypper is here: install by hand: " + strings.Join(Programs(Release), ", ")},
		"unknown architecture": {[]string{"apt-get"}, []string{"mips"}, `architecture "mips" is not one of ` + strings.Join(architecture.Names(architecture.All()), ", ")},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, test.programs...)
			var log strings.Builder
			if err := m.installer(&log).Install(t.Context(), Release, test.arches); text(err) != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if calls := m.called(); len(calls) > 0 {
				t.Errorf("something was done: %q", calls)
			}
		})
	}
}

func TestCrossWants(t *testing.T) {
	asRootOnly(t)
	known := architecture.Of(other()).Emulators()
	for name, test := range map[string]struct {
		have  []string
		lacks string
		want  []string
	}{
		"nothing":           {nil, "", []string{"qemu-user-static", "arch-test", "binfmt-support"}},
		"after debian-13":   {nil, "qemu-user-static", []string{"qemu-user", "qemu-user-binfmt", "arch-test", "binfmt-support"}},
		"emulator":          {[]string{known[0]}, "", nil},
		"the other of both": {[]string{known[1]}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, test.have...)
			m.manages("apt-get", test.lacks)
			wants := crossWants(managers[0], []string{other()})
			installer := Installer{Log: io.Discard}
			names, err := installer.known(t.Context(), managers[0], wants)
			if err != nil {
				t.Fatal(err)
			}
			got, err := installer.choose(managers[0], wants, names)
			if diff := cmp.Diff(sorted(test.want), got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestEmulator(t *testing.T) {
	known := architecture.Of(other()).Emulators()
	newMachine(t)
	if prefix, ok := Emulator(runtime.GOARCH); !ok || prefix != nil {
		t.Errorf("this machine's own: %q, %v", prefix, ok)
	}
	if prefix, ok := Emulator(other()); ok {
		t.Errorf("nothing is here, but %q", prefix)
	}
	for _, program := range slices.Backward(known) { // the first is preferred
		m := machine{t, os.Getenv("PATH")}
		m.add(program, "")
		if prefix, ok := Emulator(other()); !ok || !slices.Equal(prefix, []string{program}) {
			t.Errorf("%s is here, but %q, %v", program, prefix, ok)
		}
	}
}

// here is this machine as a place for commands.
func here(c run.Command) run.Command { return c }

func TestMuslGCCMissing(t *testing.T) {
	for arch, want := range map[string]string{
		runtime.GOARCH: "asking the C compiler for its version: ",
		other():        "asking the C compiler for its version: ",
		"mips":         `architecture "mips" is not one of amd64, arm64`,
	} {
		newMachine(t)
		if _, err := MuslGCC(t.Context(), arch, here); !strings.HasPrefix(text(err), want) {
			t.Errorf("%s: %v, want %s", arch, err, want)
		}
	}
}

func TestMuslGCC(t *testing.T) {
	gcc, script := CrossGCC(other())
	gnu := architecture.Of(other()).GNU
	if want := "for own in /usr/lib/gcc/" + gnu + "/*/; do exec " + gnu + "-gcc \"$@\" -specs /usr/lib/" + gcc[:len(gcc)-len("-gcc")] + "/musl-gcc.specs \"-B$own\"; done\n"; !strings.HasSuffix(script, want) {
		t.Errorf("got %s, want %s", script, want)
	}
	m := newMachine(t)
	m.add("musl-gcc", "echo 'cc (Debian) 12.2'; echo more")
	m.add(gcc, "echo 'other cc 12.2'; echo more")
	m.add("dpkg-query", `case $3 in musl-dev:`+runtime.GOARCH+`) printf 1.2.3-9;; *) printf 1.2.3-1;; esac`)
	for arch, want := range map[string]Compiler{
		runtime.GOARCH: {Command: "musl-gcc", GCC: "cc (Debian) 12.2", Musl: "1.2.3-9"},
		other():        {Command: gcc, GCC: "other cc 12.2", Musl: "1.2.3-1"},
	} {
		got, err := MuslGCC(t.Context(), arch, here)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(arch, diff, err)
		}
	}
	m.add("dpkg-query", "exit 1")
	m.add("rpm", "printf 1.2.4-2")
	if got, err := MuslGCC(t.Context(), runtime.GOARCH, here); err != nil || got.Musl != "1.2.4-2" {
		t.Errorf("by rpm: %+v, %v", got, err)
	}
	m.add("rpm", "echo package musl-devel is not installed; exit 1")
	if got, err := MuslGCC(t.Context(), runtime.GOARCH, here); err != nil || got.Musl != "" {
		t.Errorf("from no package: %+v, %v", got, err)
	}
	m.add("musl-gcc", "echo broken >&2; exit 1")
	if _, err := MuslGCC(t.Context(), runtime.GOARCH, here); !strings.Contains(text(err), "asking the C compiler for its version: ") {
		t.Errorf("the error is %v", err)
	}
}

// Each program's package is there once, and of alternatives the first one.
func TestPackages(t *testing.T) {
	build, test := Packages("apt-get", Build), Packages("apt-get", Test)
	for _, name := range []string{"gcc", "libc6-dev", "musl-tools"} {
		if !slices.Contains(build, name) || !slices.Contains(test, name) {
			t.Errorf("%s is missing: %q", name, test)
		}
	}
	if slices.Contains(build, "docker-cli") || !slices.Contains(test, "docker-cli") || slices.Contains(test, "|") {
		t.Errorf("for builds %q, for tests %q", build, test)
	}
	if !slices.IsSorted(test) || len(slices.Compact(slices.Clone(test))) != len(test) {
		t.Errorf("%q are not in order, each once", test)
	}
	if none := Packages("zypper", Release); slices.Contains(none, "") || slices.Contains(none, "apt-utils") {
		t.Errorf("zypper has %q", none)
	}
}
