package index

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Name is what a file's name says of it.
type Name struct {
	Kind ledger.Kind
	// Package is the package; of a file that is of no single one, the source.
	Package string
	Version string // MAJOR.MINOR.PATCH, or a day; empty if the name has none
	Release int    // 0 if the name has none
	Arch    string // as the format calls it; empty if the name has none
	// In is the folder of the kind of index that lists it; FilesFolder where none does.
	In string
	// Of is the file that a bill of materials describes.
	Of string
}

// FilesFolder is the folder of what no index lists.
const FilesFolder = "files"

// Full is the version with the packaging's release.
func (n Name) Full() string { return fmt.Sprintf("%s-%d", n.Version, n.Release) }

// Form is one form of names.
type Form struct {
	kind    ledger.Kind
	in      string
	pattern *regexp.Regexp
}

// NewForm is a form of names of files that are in a folder. In the pattern N is a
// package's name, V its version and R the packaging's release.
func NewForm(kind ledger.Kind, in, pattern string) Form {
	return Form{kind, in, regexp.MustCompile("^" + strings.NewReplacer(
		"N", `(?P<package>[a-z][a-z0-9-]+)`, "V", `(?P<version>[0-9.]+)`, "-R", `-(?P<release>[1-9][0-9]{0,5})`,
	).Replace(pattern) + "$")}
}

// OneOf is a form of the architectures' names, and of the one for every machine.
func OneOf(archs []string, every string) string {
	return "(?P<arch>" + strings.Join(archs, "|") + "|" + every + ")"
}

// Parse reads a file's base name; ok is false where it has another form.
func (f Form) Parse(file string) (n Name, ok bool, err error) {
	match := f.pattern.FindStringSubmatch(file)
	if match == nil {
		return Name{}, false, nil
	}
	part := func(of string) string {
		if i := f.pattern.SubexpIndex(of); i >= 0 {
			return match[i]
		}
		return ""
	}
	n = Name{Kind: f.kind, In: f.in, Package: part("package"), Version: part("version"), Arch: part("arch")}
	n.Release, _ = strconv.Atoi(part("release")) // the form lets digits through only
	if n.Version != "" {
		if err := checkVersion(n.Version); err != nil {
			return Name{}, true, fmt.Errorf("the name %q: %w", file, err)
		}
	}
	return n, true, nil
}

// checkVersion takes MAJOR.MINOR.PATCH, and the days that keyring packages have
// for versions.
func checkVersion(version string) error {
	if _, err := time.Parse(pkgdef.DayForm, version); err == nil {
		return nil
	}
	return pkgdef.CheckVersion(version)
}
