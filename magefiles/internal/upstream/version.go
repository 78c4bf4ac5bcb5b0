// Package upstream turns upstream's tags, and the releases that we made of
// them, into the versions that are still to build.
package upstream

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	goversion "github.com/hashicorp/go-version"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Version is MAJOR.MINOR.PATCH.
type Version struct{ number *goversion.Version }

// ParseVersion reads exactly MAJOR.MINOR.PATCH.
func ParseVersion(text string) (Version, error) {
	if err := pkgdef.CheckVersion(text); err != nil {
		return Version{}, err
	}
	number, err := goversion.NewVersion(text)
	return Version{number}, err
}

// ParseTag reads exactly vMAJOR.MINOR.PATCH. All else that upstream has in its
// repository is not a version to package: pre-releases, what older tags look
// like, modules below it, and what somebody might try.
func ParseTag(tag string) (Version, bool) {
	text, ok := strings.CutPrefix(tag, "v")
	version, err := ParseVersion(text)
	return version, ok && err == nil
}

// ParseOwn reads the tag of one of our releases of a source, as Source.Tag writes it.
func ParseOwn(source pkgdef.Source, tag string) (Version, int, bool) {
	text, release, ok := source.ParseTag(tag)
	version, err := ParseVersion(text)
	return version, release, ok && err == nil
}

// String is such as 1.15.3.
func (v Version) String() string { return v.number.String() }

// Minor is such as 1.15.
func (v Version) Minor() string {
	segments := v.number.Segments()
	return fmt.Sprintf("%d.%d", segments[0], segments[1])
}

// Compare is less than 0 where v is older than other. That which is none is
// older than all.
func (v Version) Compare(other Version) int {
	if v.number == nil || other.number == nil {
		return cmp.Compare(count(v), count(other))
	}
	return v.number.Compare(other.number)
}

func count(v Version) int {
	if v.number == nil {
		return 0
	}
	return 1
}

// ordinary is what the names of tags and files look like that nobody has to
// think about.
var ordinary = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+~@-]{0,99}$`)

func hostile(name string) bool { return !ordinary.MatchString(name) || strings.Contains(name, "..") }

// show makes a name of others fit to print: a line of ASCII, not too long.
func show(name string) string {
	if len(name) > 80 {
		return fmt.Sprintf("%+.60q (%d bytes)", name, len(name))
	}
	return fmt.Sprintf("%+q", name)
}
