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

// Setup is what to type to get the tools.
const Setup = "go run magefile.go setup"

// need is one program.
type need struct {
	why string
	// packages has it under each package manager's name; a manager that is not
	// in the list has no such package.
	packages map[string]string
}

func everywhere(name string) map[string]string {
	return map[string]string{"apt-get": name, "dnf": name, "zypper": name}
}

// needs are all programs, by the name that is looked for in PATH.
var needs = map[string]need{
	"patch":           {"applies the patches to the source", everywhere("patch")},
	"musl-gcc":        {"compiles and links the server's sqlite", map[string]string{"apt-get": "musl-tools", "dnf": "musl-gcc", "zypper": "musl-devel"}},
	"xz":              {"packs the sources and the programs", map[string]string{"apt-get": "xz-utils", "dnf": "xz", "zypper": "xz"}},
	"gzip":            {"zips the man pages and changelogs", everywhere("gzip")},
	"dpkg-source":     {"makes the Debian source package", map[string]string{"apt-get": "dpkg-dev", "dnf": "dpkg-dev", "zypper": "dpkg-devel"}},
	"rpmbuild":        {"makes the source rpm", map[string]string{"apt-get": "rpm", "dnf": "rpm-build", "zypper": "rpm-build"}},
	"fakeroot":        {"lets the source rpm's files belong to root", everywhere("fakeroot")},
	"dpkg-deb":        {"reads the debs", map[string]string{"apt-get": "dpkg", "dnf": "dpkg", "zypper": "dpkg"}},
	"rpm":             {"reads the rpms", map[string]string{"apt-get": "rpm", "dnf": "rpm", "zypper": "rpm"}},
	"lintian":         {"checks the debs", map[string]string{"apt-get": "lintian", "dnf": "lintian"}},
	"piuparts":        {"installs, upgrades and purges the debs", map[string]string{"apt-get": "piuparts"}},
	"rpmlint":         {"checks the rpms", everywhere("rpmlint")},
	"gpg":             {"signs", map[string]string{"apt-get": "gpg", "dnf": "gnupg2", "zypper": "gpg2"}},
	"apt-ftparchive":  {"makes the apt repository", map[string]string{"apt-get": "apt-utils", "dnf": "apt"}},
	"createrepo_c":    {"makes the rpm repositories", map[string]string{"apt-get": "createrepo-c", "dnf": "createrepo_c", "zypper": "createrepo_c"}},
	"chromium":        {"looks at the repository's front page", everywhere("chromium")},
	"cmark-gfm":       {"reads the summary of the tests", map[string]string{"apt-get": "cmark-gfm", "dnf": "cmark-gfm"}},
	"xmllint":         {"checks the tests' report", map[string]string{"apt-get": "libxml2-utils", "dnf": "libxml2", "zypper": "libxml2-tools"}},
	"shellcheck":      {"checks the scriptlets", map[string]string{"apt-get": "shellcheck", "dnf": "ShellCheck", "zypper": "ShellCheck"}},
	"dash":            {"runs the scriptlets as Debian does", everywhere("dash")},
	"systemd-analyze": {"checks the units", everywhere("systemd")},
	"man":             {"checks the man pages", map[string]string{"apt-get": "man-db", "dnf": "man-db", "zypper": "man"}},
	"mmdebstrap":      {"makes the roots that packages are tested in", map[string]string{"apt-get": "mmdebstrap", "dnf": "mmdebstrap"}},
	"docker":          {"runs the test containers", map[string]string{"apt-get": "docker.io", "dnf": "moby-engine", "zypper": "docker"}},
	"dockerd":         {"runs the test containers", map[string]string{"apt-get": "docker.io", "dnf": "moby-engine", "zypper": "docker"}},
	"iptables":        {"is needed by Docker's daemon", everywhere("iptables")},
}

// companions are packages that a package needs beside it when what it merely
// recommends is not installed.
var companions = map[string][]string{
	"docker.io": {"containerd", "runc", "iptables"},
	"gpg":       {"gpg-agent"},
	// For roots of another architecture.
	emulation: {"arch-test", "binfmt-support"},
}

// Missing is the error for programs that are not in PATH.
type Missing struct{ Programs []string }

// Error names the programs and what to do.
func (m Missing) Error() string {
	var lines []string
	for _, program := range m.Programs {
		lines = append(lines, fmt.Sprintf("%s is missing (it %s)", program, why(program)))
	}
	return strings.Join(lines, "; ") + ": install what is needed with `" + Setup + "`"
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
func All() []string { return slices.Sorted(maps.Keys(needs)) }
