package repo

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Kind is what a published file is to a reader.
type Kind string

// The kinds of files. A Source is any of the files that source packages are
// made of; a Record is a .changes, a .buildinfo or a build.json.
const (
	Deb        Kind = "deb"
	RPM        Kind = "rpm"
	Source     Kind = "source"
	SBOM       Kind = "sbom"
	Provenance Kind = "provenance"
	Record     Kind = "record"
	Sums       Kind = "sums"
	Signature  Kind = "signature"
)

// name is what a file's name says of it.
type name struct {
	kind Kind
	// pkg is the package; of a file that is of no single one, the source.
	pkg     string
	version string // MAJOR.MINOR.PATCH, or a day; empty if the name has none
	release int    // 0 if the name has none
	arch    string // as the format calls it; empty if the name has none
	place   place
	// of is the file that a bill of materials describes.
	of string
}

// place is the part of the tree where a file is.
type place string

const (
	inPool  place = "apt/pool/main"
	inRPM   place = "rpm"
	inFiles place = "files"
)

// form is one form of names.
type form struct {
	kind  Kind
	place place
	form  *regexp.Regexp
}

// forms are all names that are published. In a form, N is a package's name, V
// its version and R the packaging's release.
var forms = []form{
	{Deb, inPool, names(`N_V-R_` + oneOf(debArchs, "all") + `\.deb`)},
	{Source, inPool, names(`N_V-R\.dsc`)},
	{Source, inPool, names(`N_V-R\.debian\.tar\.xz`)},
	{Source, inPool, names(`N_V\.orig(-[a-z0-9-]+)?\.tar\.xz`)},
	{RPM, inRPM, names(`N-V-R\.` + oneOf(rpmArchs, "noarch") + `\.rpm`)},
	{Source, inRPM, names(`N-V-R\.(?P<arch>src)\.rpm`)},
	{Record, inFiles, names(`N_V-R_source\.changes`)},
	{Record, inFiles, names(`N_V-R_` + oneOf(goArchs, "all") + `\.build\.json`)},
	{Record, inFiles, names(`N_V-R_` + oneOf(debArchs, "all") + `\.buildinfo`)},
	{Provenance, inFiles, names(`N_V-R\.intoto\.json`)},
	{Sums, inFiles, names(regexp.QuoteMeta(artifact.SumsName))},
	{Signature, inFiles, names(regexp.QuoteMeta(artifact.SumsSignature))},
}

// oneOf is a form of the architectures' names, and of the one for every machine.
func oneOf(archs []string, every string) string {
	return "(?P<arch>" + strings.Join(archs, "|") + "|" + every + ")"
}

func names(form string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.NewReplacer(
		"N", `(?P<package>[a-z][a-z0-9-]+)`, "V", `(?P<version>[0-9.]+)`, "-R", `-(?P<release>[1-9][0-9]{0,5})`,
	).Replace(form) + "$")
}

// described is the form of a bill of materials' name: that of the package file
// that it describes, and its own ending.
var described = regexp.MustCompile(`^(.+\.(?:deb|rpm))\.(?:cdx|spdx)\.json$`)

// parse reads a file's base name. A name of another form is an error: whoever
// publishes it would not find it in any index.
func parse(file string) (name, error) {
	if match := described.FindStringSubmatch(file); match != nil {
		n, err := parse(match[1])
		n.kind, n.place, n.of = SBOM, inFiles, match[1]
		return n, err
	}
	for _, form := range forms {
		if match := form.form.FindStringSubmatch(file); match != nil {
			return form.read(file, match)
		}
	}
	return name{}, fmt.Errorf("%q is not the name of a file that is published, such as spire-agent_1.13.3-1_amd64.deb", file)
}

func (f form) read(file string, match []string) (name, error) {
	part := func(of string) string {
		if i := f.form.SubexpIndex(of); i >= 0 {
			return match[i]
		}
		return ""
	}
	n := name{kind: f.kind, place: f.place, pkg: part("package"), version: part("version"), arch: part("arch")}
	n.release, _ = strconv.Atoi(part("release")) // the form lets digits through only
	if n.version != "" {
		if err := checkVersion(n.version); err != nil {
			return name{}, fmt.Errorf("the name %q: %w", file, err)
		}
	}
	return n, nil
}

// folders are the places of a file of the given source, below the tree's root. An
// rpm of no architecture is in the folders of all.
func (r Repository) folders(n name, source, version string, release int) []string {
	switch {
	case n.place == inPool:
		return []string{path.Join(string(inPool), source[:1], source)}
	case n.arch == "noarch" && n.place == inRPM:
		var folders []string
		for _, folder := range RPMFolders {
			if folder != ForSource {
				folders = append(folders, path.Join(string(inRPM), folder))
			}
		}
		return folders
	case n.arch == "src" && n.place == inRPM:
		return []string{path.Join(string(inRPM), "source")}
	case n.place == inRPM:
		return []string{path.Join(string(inRPM), n.arch)}
	}
	label := fmt.Sprintf("%s-%d", version, release)
	if source != r.Source {
		label = source + "-" + label
	}
	return []string{path.Join(string(inFiles), label)}
}

// checkVersion takes MAJOR.MINOR.PATCH, and the days that keyring packages have
// for versions.
func checkVersion(version string) error {
	if _, err := time.Parse(pkgdef.DayForm, version); err == nil {
		return nil
	}
	return pkgdef.CheckVersion(version)
}

// CompareVersions compares two versions of the forms that are published, as
// numbers, and then their releases. It is negative if the first is the older
// one.
func CompareVersions(version string, release int, other string, otherRelease int) int {
	return cmp.Or(slices.Compare(numbers(version), numbers(other)), cmp.Compare(release, otherRelease))
}

func numbers(version string) []int {
	var all []int
	for part := range strings.SplitSeq(version, ".") {
		n, _ := strconv.Atoi(part) // checkVersion has seen it
		all = append(all, n)
	}
	return all
}

// compareFiles is the order of the ledger: by path.
func compareFiles(a, b File) int { return cmp.Compare(a.Path, b.Path) }
