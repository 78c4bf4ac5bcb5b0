package repo

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	// lifetime is how long apt takes an index: Valid-Until is that long after Date.
	lifetime = 14 * 24 * time.Hour
	// renewal is how much of it may be left before the indexes are made anew: a
	// publication that fails for days then harms nobody.
	renewal = 7 * 24 * time.Hour
	// slack is how much longer a file stays than any valid index names it, for
	// downloads that have begun and clocks that are wrong.
	slack = 24 * time.Hour
	// recent is how long a version stays after it was published, whatever came
	// after it.
	recent = 90 * 24 * time.Hour
	// supported is how many minors upstream maintains: of each the newest patch
	// stays.
	supported = 2
)

// edition is one release of the packaging of one version of a source.
type edition struct {
	source, version string
	release         int
}

func (f File) edition() edition { return edition{f.Source, f.Version, f.Release} }

// compare orders editions of one source, the oldest first.
func (e edition) compare(other edition) int {
	return CompareVersions(e.version, e.release, other.version, other.release)
}

// minor is the source and its MAJOR.MINOR; of a day it is the month.
func (e edition) minor() edition {
	return edition{source: e.source, version: e.version[:strings.LastIndex(e.version, ".")]}
}

// retain splits files into those that stay at a time and those that are retired.
// Of each source the newest patch of the two newest minors stays, and what was
// published in the last 90 days. The newest version of a keyring package stays
// by the same rule.
func retain(files []File, now time.Time) (stay, retired []File) {
	stays := retained(files, now)
	for _, f := range files {
		if stays[f.edition()] {
			stay = append(stay, f)
		} else {
			retired = append(retired, f)
		}
	}
	return stay, retired
}

// retained are the editions that stay. Upstream's archives, which are of no
// release, stay with any release of their version.
func retained(files []File, now time.Time) map[edition]bool {
	stays := map[edition]bool{}
	for _, e := range newest(files) {
		stays[e] = true
	}
	for _, f := range files {
		if now.Sub(f.Published) <= recent {
			stays[f.edition()] = true
		}
	}
	for e := range stays {
		stays[edition{source: e.source, version: e.version}] = true
	}
	return stays
}

// newest are the newest editions of each source's newest minors.
func newest(files []File) []edition {
	var all []edition
	for _, f := range files {
		if f.Release > 0 {
			all = append(all, f.edition())
		}
	}
	slices.SortFunc(all, func(a, b edition) int { return cmp.Or(cmp.Compare(a.source, b.source), b.compare(a)) })
	var found []edition
	minors := map[string]map[edition]bool{}
	for _, e := range all {
		seen := minors[e.source]
		if seen == nil {
			seen = map[edition]bool{}
			minors[e.source] = seen
		}
		if len(seen) < supported && !seen[e.minor()] {
			found = append(found, e)
			seen[e.minor()] = true
		}
	}
	return found
}
