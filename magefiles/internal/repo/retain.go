package repo

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const (
	// lifetime is how long apt takes an index: Valid-Until is that long after Date.
	lifetime = 14 * 24 * time.Hour
	// renewal is how much of it may be left before the indexes are made anew: a
	// publication that fails for days then harms nobody.
	renewal = 7 * 24 * time.Hour
	// notice is how long before its end an index is too old: somebody has to look.
	notice = 3 * 24 * time.Hour
	// slack is how much longer a file stays than any valid index names it, for
	// downloads that have begun and clocks that are wrong.
	slack = 24 * time.Hour
	// recent is how long a version stays after it was published, whatever came
	// after it.
	recent = 90 * 24 * time.Hour
)

// revision is one release of the packaging of one version of a source.
type revision struct {
	source, version string
	release         int
}

func (f File) revision() revision { return revision{f.Source, f.Version, f.Release} }

// compare orders revisions of one source, the oldest first.
func (e revision) compare(other revision) int {
	return CompareVersions(e.version, e.release, other.version, other.release)
}

// minor is the source and its MAJOR.MINOR; of a day it is the month.
func (e revision) minor() revision {
	return revision{source: e.source, version: e.version[:strings.LastIndex(e.version, ".")]}
}

// retain splits files into those that stay at a time and those that are retired.
// Of each source the newest patch of the two newest minors stays, and what was
// published in the last 90 days. The newest version of a keyring package stays
// by the same rule.
func retain(files []File, now time.Time) (stay, retired []File) {
	stays := retained(files, now)
	for _, f := range files {
		if stays[f.revision()] {
			stay = append(stay, f)
		} else {
			retired = append(retired, f)
		}
	}
	return stay, retired
}

// retained are the revisions that stay. Upstream's archives, which are of no
// release, stay with any release of their version.
func retained(files []File, now time.Time) map[revision]bool {
	stays := map[revision]bool{}
	for _, e := range newest(files) {
		stays[e] = true
	}
	for _, f := range files {
		if now.Sub(f.Published) <= recent {
			stays[f.revision()] = true
		}
	}
	for e := range stays {
		stays[revision{source: e.source, version: e.version}] = true
	}
	return stays
}

// newest are the newest revisions of each source's newest minors.
func newest(files []File) []revision {
	var all []revision
	for _, f := range files {
		if f.Release > 0 {
			all = append(all, f.revision())
		}
	}
	slices.SortFunc(all, func(a, b revision) int { return cmp.Or(cmp.Compare(a.source, b.source), b.compare(a)) })
	var found []revision
	minors := map[string]map[revision]bool{}
	for _, e := range all {
		seen := minors[e.source]
		if seen == nil {
			seen = map[revision]bool{}
			minors[e.source] = seen
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
func (r Repository) Due(l Ledger, released []Released, now time.Time) []Released {
	files, taken := slices.Clone(l.Files), l.taken()
	for _, e := range released {
		files = append(files, File{Source: e.Source, Version: e.Version, Release: e.Release, Published: e.Published})
	}
	stays := retained(files, now)
	due := slices.DeleteFunc(slices.Clone(released), func(e Released) bool {
		sums := path.Join(r.folders(name{place: inFiles}, e.Source, e.Version, e.Release)[0], artifact.SumsName)
		_, had := taken[sums]
		return had || !stays[revision{e.Source, e.Version, e.Release}]
	})
	slices.SortFunc(due, func(a, b Released) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), CompareVersions(a.Version, a.Release, b.Version, b.Release))
	})
	return due
}
