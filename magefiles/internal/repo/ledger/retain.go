package ledger

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const (
	// Lifetime is how long apt takes an index: Valid-Until is that long after Date.
	Lifetime = 14 * 24 * time.Hour
	// Renewal is how much of it may be left before the indexes are made anew: a
	// publication that fails for days then harms nobody.
	Renewal = 7 * 24 * time.Hour
	// Notice is how long before its end an index is too old: somebody has to look.
	Notice = 3 * 24 * time.Hour
	// Slack is how much longer a file stays than any valid index names it, for
	// downloads that have begun and clocks that are wrong.
	Slack = 24 * time.Hour
	// SnapshotLifetime is how long the indexes of a publication can be read as they were.
	SnapshotLifetime = 2 * 365 * 24 * time.Hour
	// recent is how long a version stays after it was published, whatever came
	// after it.
	recent = 90 * 24 * time.Hour
)

// Revision is one release of the packaging of one version of a source.
type Revision struct {
	Source, Version string
	Release         int // 0 for what all releases of the version have in common
}

// Compare orders revisions of one source, the oldest first.
func (e Revision) Compare(other Revision) int {
	return CompareVersions(e.Version, e.Release, other.Version, other.Release)
}

// Full is the version with the packaging's release, such as 1.14.5-1.
func (e Revision) Full() string { return fmt.Sprintf("%s-%d", e.Version, e.Release) }

// minor is the source and its MAJOR.MINOR; of a day it is the month.
func (e Revision) minor() Revision {
	return Revision{Source: e.Source, Version: e.Version[:strings.LastIndex(e.Version, ".")]}
}

// retain splits files into those that stay at a time and those that are retired.
// Of each source the newest patch of the two newest minors stays, and what was
// published in the last 90 days. The newest version of a keyring package stays
// by the same rule.
func retain(files []File, now time.Time) (stay, retired []File) {
	stays := retained(files, now)
	for _, f := range files {
		if stays[f.Revision()] {
			stay = append(stay, f)
		} else {
			retired = append(retired, f)
		}
	}
	return stay, retired
}

// retained are the revisions that stay. Upstream's archives, which are of no
// release, stay with any release of their version.
func retained(files []File, now time.Time) map[Revision]bool {
	stays := map[Revision]bool{}
	for _, e := range newest(files) {
		stays[e] = true
	}
	for _, f := range files {
		if now.Sub(f.Published) <= recent {
			stays[f.Revision()] = true
		}
	}
	for e := range stays {
		stays[Revision{Source: e.Source, Version: e.Version}] = true
	}
	return stays
}

// Supported are the newest revisions of the minor versions that upstream mends.
func (l Ledger) Supported() []Revision { return newest(l.Files) }

// newest are the newest revisions of each source's newest minors.
func newest(files []File) []Revision {
	var all []Revision
	for _, f := range files {
		if f.Release > 0 {
			all = append(all, f.Revision())
		}
	}
	slices.SortFunc(all, func(a, b Revision) int { return cmp.Or(cmp.Compare(a.Source, b.Source), b.Compare(a)) })
	var found []Revision
	minors := map[string]map[Revision]bool{}
	for _, e := range all {
		seen := minors[e.Source]
		if seen == nil {
			seen = map[Revision]bool{}
			minors[e.Source] = seen
		}
		if len(seen) < pkgdef.SupportedMinors && !seen[e.minor()] {
			found = append(found, e)
			seen[e.minor()] = true
		}
	}
	return found
}

// Released is a revision of a source that can be published.
type Released struct {
	Source    string // its name
	Version   string // MAJOR.MINOR.PATCH
	Release   int    // of the packaging, from 1
	Published time.Time
}

// Due are those of the revisions that a publication at now shall add, the oldest
// first: what the ledger has never had, and what would stay if it had been
// published when it was released.
//
// folder is where the checksums of a revision are.
func (l Ledger) Due(released []Released, now time.Time, folder func(Revision) string) []Released {
	files, taken := slices.Clone(l.Files), l.Taken()
	for _, e := range released {
		files = append(files, File{Source: e.Source, Version: e.Version, Release: e.Release, Published: e.Published})
	}
	stays := retained(files, now)
	due := slices.DeleteFunc(slices.Clone(released), func(e Released) bool {
		of := Revision{e.Source, e.Version, e.Release}
		_, had := taken[path.Join(folder(of), artifact.SumsName)]
		return had || !stays[of]
	})
	slices.SortFunc(due, func(a, b Released) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), CompareVersions(a.Version, a.Release, b.Version, b.Release))
	})
	return due
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
		n, _ := strconv.Atoi(part) // it was read from a name of a form
		all = append(all, n)
	}
	return all
}
