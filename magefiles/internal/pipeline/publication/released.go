package publication

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// Release is a release of a version of a source, on GitHub.
type Release struct {
	hub.Release
	source pkgdef.Source
	ledger.Released
}

// Full is the version with the packaging's number, such as 1.13.3-1.
func (r Release) Full() string { return fmt.Sprintf("%s-%d", r.Version, r.Released.Release) }

// Releases are those of all that are of the sources, and not drafts.
func Releases(sources []pkgdef.Source, all []hub.Release) []Release {
	var ours []Release
	for _, release := range all {
		for _, source := range sources {
			if version, number, ok := source.ParseTag(release.Tag); ok && !release.Draft {
				ours = append(ours, Release{release, source, ledger.Released{
					Source: source.Name, Version: version, Release: number, Published: release.Published,
				}})
			}
		}
	}
	return ours
}

// NewestOfMinors are of each source the newest releases of the newest minor versions,
// the newest first.
func NewestOfMinors(all []Release) []Release {
	slices.SortFunc(all, func(a, b Release) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), ledger.CompareVersions(b.Version, b.Released.Release, a.Version, a.Released.Release))
	})
	minors := map[string][]string{} // of each source
	var newest []Release
	for _, release := range all {
		minor := release.Version[:strings.LastIndex(release.Version, ".")]
		if seen := minors[release.Source]; len(seen) < pkgdef.SupportedMinors && !slices.Contains(seen, minor) {
			newest, minors[release.Source] = append(newest, release), append(seen, minor)
		}
	}
	return newest
}
