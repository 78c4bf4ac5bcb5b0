// Package tool knows the programs that the targets need beside Go: in which of
// the system's packages they are, and how they get there.
package tool

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// Setup is what to type to get the tools for a build.
const Setup = "go run magefile.go setup"

// Use is what tools are for.
type Use uint8

// The uses are what setup is asked for. Test is everything: the tests build, sign
// and publish.
const (
	Build   Use = 1 << iota // packages, and nothing more
	Release                 // signing and publishing what was built
	Test
)

// has says whether the tools for a use have those of the needs' other one.
func (u Use) has(of Use) bool { return u&of != 0 || u&Test != 0 }

// need is one program, or one file.
type need struct {
	why  string
	uses Use
	// packages has it under each package manager's name, with what that package
	// needs beside it when what it merely recommends is not installed; where
	// releases of a distribution differ, alternatives, the best one first. A
	// manager that is not in the list has no such package.
	packages map[string]string
	file     string // what is looked for, where that is no program
	// spare says that a use does without: a build then takes this machine's compiler.
	spare bool
}

func everywhere(name string) map[string]string {
	return map[string]string{"apt-get": name, "dnf": name, "zypper": name}
}

// docker is Debian's package of the daemon; from 13 on, it only recommends the client.
const docker = "docker.io containerd runc iptables"

// needs are all programs, by the name that is looked for in PATH.
var needs = map[string]need{
	"patch": {why: "applies the patches to the source", uses: Build, packages: everywhere("patch")},
	// With the C library's headers: where there is a gcc, Go compiles its own packages
	// by it, those of the targets too.
	"gcc":         {why: "compiles the server's sqlite", uses: Build, packages: map[string]string{"apt-get": "gcc libc6-dev", "dnf": "gcc glibc-devel", "zypper": "gcc glibc-devel"}},
	"musl-gcc":    {why: "compiles and links the server's sqlite", uses: Build, packages: map[string]string{"apt-get": "musl-tools", "dnf": "musl-gcc musl-libc-static", "zypper": "musl-devel musl-devel-static | musl-devel"}},
	"xz":          {why: "packs the sources and the programs", uses: Build, packages: map[string]string{"apt-get": "xz-utils", "dnf": "xz", "zypper": "xz"}},
	"gzip":        {why: "zips the man pages and changelogs", uses: Build, packages: everywhere("gzip")},
	"dpkg-source": {why: "makes the Debian source package", uses: Build, packages: map[string]string{"apt-get": "dpkg-dev", "dnf": "dpkg-dev", "zypper": "dpkg-devel"}},
	"rpmbuild":    {why: "makes the source rpm", uses: Build, packages: map[string]string{"apt-get": "rpm", "dnf": "rpm-build", "zypper": "rpm-build"}},
	"fakeroot":    {why: "lets the source rpm's files belong to root", uses: Build, packages: everywhere("fakeroot")},

	"gpg":            {why: "signs", uses: Release, packages: map[string]string{"apt-get": "gpg gpg-agent", "dnf": "gnupg2", "zypper": "gpg2"}},
	"rpm":            {why: "reads the rpms", uses: Release, packages: everywhere("rpm")},
	"rpmkeys":        {why: "checks the rpms' signatures", uses: Release, packages: everywhere("rpm")},
	"apt-ftparchive": {why: "makes the apt repository", uses: Release, packages: map[string]string{"apt-get": "apt-utils", "dnf": "apt-utils"}},
	"createrepo_c":   {why: "makes the rpm repositories", uses: Release, packages: map[string]string{"apt-get": "createrepo-c", "dnf": "createrepo_c", "zypper": "createrepo_c"}},
	"rsync":          {why: "brings the repository to a host", uses: Release, packages: everywhere("rsync")},
	"git":            {why: "names the commit that a release is of", uses: Release, packages: everywhere("git")},

	"dpkg-deb":        {why: "reads the debs", uses: Test, packages: everywhere("dpkg")},
	"lintian":         {why: "checks the debs", uses: Test, packages: map[string]string{"apt-get": "lintian", "dnf": "lintian"}},
	"piuparts":        {why: "installs, upgrades and purges the debs", uses: Test, packages: map[string]string{"apt-get": "piuparts"}},
	"rpmlint":         {why: "checks the rpms", uses: Test, packages: everywhere("rpmlint")},
	"chromium":        {why: "looks at the repository's front page", uses: Test, packages: everywhere("chromium")},
	"cmark-gfm":       {why: "reads the summary of the tests", uses: Test, packages: map[string]string{"apt-get": "cmark-gfm", "dnf": "cmark-gfm"}},
	"xmllint":         {why: "checks the tests' report", uses: Test, packages: map[string]string{"apt-get": "libxml2-utils", "dnf": "libxml2", "zypper": "libxml2-tools"}},
	"shellcheck":      {why: "checks the scriptlets", uses: Test, packages: map[string]string{"apt-get": "shellcheck", "dnf": "ShellCheck", "zypper": "ShellCheck"}},
	"dash":            {why: "runs the scriptlets as Debian does", uses: Test, packages: everywhere("dash")},
	"systemd-analyze": {why: "checks the units", uses: Test, packages: everywhere("systemd")},
	"man":             {why: "checks the man pages", uses: Test, packages: map[string]string{"apt-get": "man-db", "dnf": "man-db", "zypper": "man"}},
	"docker":          {why: "runs the test containers", uses: Test, packages: map[string]string{"apt-get": "docker-cli | " + docker, "dnf": "docker-cli | moby-engine", "zypper": "docker"}},
	"dockerd":         {why: "runs the test containers", uses: Test, packages: map[string]string{"apt-get": docker, "dnf": "moby-engine", "zypper": "docker"}},
	"iptables":        {why: "is needed by Docker's daemon", uses: Test, packages: map[string]string{"apt-get": "iptables", "dnf": "iptables-nft", "zypper": "iptables"}},

	// mmdebstrap depends on none of what stands below it.
	"mmdebstrap": {why: "makes the roots that packages are built and tested in", uses: Build, spare: true, packages: map[string]string{"apt-get": "mmdebstrap", "dnf": "mmdebstrap"}},
	"newuidmap":  {why: "lets mmdebstrap do without root", uses: Build, spare: true, packages: map[string]string{"apt-get": "uidmap", "dnf": "shadow-utils", "zypper": "shadow"}},
	"fakechroot": {why: "lets mmdebstrap do without root where there are no user namespaces", uses: Build, spare: true, packages: map[string]string{"apt-get": "fakechroot", "dnf": "fakechroot"}},
	"mount":      {why: "mounts what mmdebstrap's roots need", uses: Build, spare: true, packages: map[string]string{"apt-get": "mount", "dnf": "util-linux", "zypper": "util-linux"}},
	"the keyring of Debian's archive": {why: "proves to mmdebstrap that a root is Debian's", uses: Build, spare: true,
		packages: map[string]string{"apt-get": "debian-archive-keyring", "dnf": "debian-keyring"}, file: "/usr/share/keyrings/debian-archive-keyring.gpg"},
}

// Missing is the error for programs that are not in PATH.
type Missing struct{ Programs []string }

// Error names the programs and what to do.
func (m Missing) Error() string {
	var lines []string
	for _, program := range m.Programs {
		lines = append(lines, fmt.Sprintf("%s is missing (it %s)", program, why(program)))
	}
	return strings.Join(lines, "; ") + ": install what is needed with `" + setup(m.Programs) + "`"
}

// setup is the least to type to get the programs.
func setup(programs []string) string {
	all := func(use Use) bool {
		return !slices.ContainsFunc(programs, func(program string) bool {
			known, ok := needs[program]
			return ok && known.uses&use == 0
		})
	}
	switch {
	case all(Build):
		return Setup
	case all(Release):
		return Setup + ":release"
	}
	return Setup + ":test"
}

func why(program string) string {
	if known, ok := needs[program]; ok {
		return known.why
	}
	return "works for another architecture"
}

// Need gives a Missing error unless all programs are there.
func Need(programs ...string) error {
	var missing []string
	for _, program := range programs {
		if !run.Have(program) {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return Missing{missing}
	}
	return nil
}

// All are the programs that are needed on the machine itself, in order.
func All() []string { return Programs(Test) }

// Programs are those that setup installs for a use, in order.
func Programs(use Use) []string {
	var programs []string
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if use.has(needs[name].uses) && needs[name].file == "" {
			programs = append(programs, name)
		}
	}
	return programs
}

// Packages are those that a package manager has of all that a use needs, each the
// first choice, in order.
func Packages(manager string, use Use) []string {
	var packages []string
	for name, n := range needs {
		if wanted := newWant(name, n.why, n.packages[manager], ""); use.has(n.uses) && len(wanted.choices) > 0 {
			packages = append(packages, wanted.choices[0]...)
		}
	}
	return sorted(packages)
}
