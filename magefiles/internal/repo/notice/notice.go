// Package notice says which of the published revisions mend something, for the indexes
// that tell clients so.
package notice

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Update is an offered revision that mends something.
type Update struct {
	ledger.Revision
	Notices []pkgdef.Notice
}

// Has says whether a file is of the update: upstream's archives are of every release.
func (u Update) Has(f ledger.File) bool {
	return f.Source == u.Source && f.Version == u.Version && (f.Release == u.Release || f.Release == 0)
}

// Updates are the revisions of the ledger that mend something, by source, the oldest first:
// those that a notice names, and, where such a one is no longer offered or was never
// published, the next one, as long as there ever was one here that needs it.
func Updates(l ledger.Ledger, notices []pkgdef.Notice) []Update {
	found := map[ledger.Revision][]pkgdef.Notice{}
	for source, s := range statesOf(l) {
		for _, n := range notices {
			if n.Source == source {
				for of := range s.carriers(n) {
					found[of] = append(found[of], n)
				}
			}
		}
	}
	var updates []Update
	for of, mended := range found {
		updates = append(updates, Update{of, mended})
	}
	slices.SortFunc(updates, func(a, b Update) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), a.Compare(b.Revision))
	})
	return updates
}

// state is what there is of a source, the oldest first: what is offered, and what ever was.
type state struct{ offered, known []ledger.Revision }

func statesOf(l ledger.Ledger) map[string]*state {
	all := map[string]*state{}
	of := func(source string) *state {
		if all[source] == nil {
			all[source] = &state{}
		}
		return all[source]
	}
	for _, f := range l.Files {
		if s := of(f.Source); f.Release > 0 {
			s.offered, s.known = append(s.offered, f.Revision()), append(s.known, f.Revision())
		}
	}
	for _, f := range l.Archived {
		if s := of(f.Source); f.Release > 0 {
			s.known = append(s.known, f.Revision())
		}
	}
	for _, g := range l.Tombstones {
		if e, ok := revisionOf(g.Path); ok {
			s := of(e.Source)
			s.known = append(s.known, e)
		}
	}
	for _, s := range all {
		s.offered, s.known = ordered(s.offered), ordered(s.known)
	}
	return all
}

func ordered(all []ledger.Revision) []ledger.Revision {
	slices.SortFunc(all, ledger.Revision.Compare)
	return slices.Compact(all)
}

// debForm is the place of a deb, which is in the folder of its source.
var debForm = regexp.MustCompile(`/([a-z][a-z0-9-]+)/[a-z][a-z0-9-]+_([0-9.]+)-([0-9]+)_[a-z0-9]+\.deb$`)

// revisionOf is what a file that was published once is of: a tombstone has but its path.
func revisionOf(file string) (ledger.Revision, bool) {
	match := debForm.FindStringSubmatch(path.Clean(file))
	if match == nil {
		return ledger.Revision{}, false
	}
	release, err := strconv.Atoi(match[3])
	return ledger.Revision{Source: match[1], Version: match[2], Release: release}, err == nil
}

// carriers are the revisions that a client needs because of a notice.
func (s *state) carriers(n pkgdef.Notice) map[ledger.Revision]bool {
	carriers := map[ledger.Revision]bool{}
	for _, fix := range n.Fixed {
		for _, e := range s.offered {
			if e.Version == fix.Version && e.Release >= fix.Release {
				carriers[e] = true
				break // the first packaging of it
			}
		}
	}
	for _, e := range s.known {
		if !Mended(n, e) {
			if next, ok := s.after(e, n); ok {
				carriers[next] = true
			}
		}
	}
	return carriers
}

// after is the first offered revision after one that a notice is no longer about.
func (s *state) after(e ledger.Revision, n pkgdef.Notice) (ledger.Revision, bool) {
	for _, next := range s.offered {
		if next.Compare(e) > 0 && Mended(n, next) {
			return next, true
		}
	}
	return ledger.Revision{}, false
}

// Mended says whether a revision is without what a notice is about: it is as new as the fix
// of its minor version, or of a minor version that is newer than all fixes.
func Mended(n pkgdef.Notice, e ledger.Revision) bool {
	for _, fix := range n.Fixed {
		if minor(fix.Version) == minor(e.Version) {
			return ledger.CompareVersions(e.Version, e.Release, fix.Version, fix.Release) >= 0
		}
	}
	last := n.Fixed[len(n.Fixed)-1]
	return ledger.CompareVersions(e.Version, e.Release, last.Version, last.Release) > 0
}

func minor(version string) string { return version[:strings.LastIndex(version, ".")] }
