package publication

import (
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/frontpage"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// The status page knows a version by the label that the front page gives it, also where one
// source's name begins another's.
func TestStatus(t *testing.T) {
	a := Archive{Sources: []pkgdef.Source{{Name: "spire"}, {Name: "spire-config"}}}
	l := ledger.Ledger{
		Files: []ledger.File{
			{Source: "spire", Version: "1.14.5", Release: 1}, {Source: "spire", Version: "1.14.4", Release: 1}, {Source: "spire", Version: "1.12.2", Release: 1},
			{Source: "spire", Version: "1.13.3", Release: 2}, {Source: "spire-config", Version: "0.1.0", Release: 3},
		},
		Tested: []ledger.Tested{{Source: "spire", Version: "1.14.5-1", Outcome: "works"}, {Source: "spire-config", Version: "0.1.0-3", Outcome: "failed"}},
	}
	status, err := a.status(l, frontpage.Site{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"1.14.5-1", "1.13.3-2", "spire-config-0.1.0-3"}; !slices.Equal(status.Supports, want) {
		t.Errorf("upstream mends %q, not %q", status.Supports, want)
	}
	shown := frontpage.Version{Source: "spire-config", Version: "0.1.0", Release: 3}
	if len(status.Tested) != 2 || status.Tested[0].Version != "1.14.5-1" || status.Tested[1].Version != shown.Label() {
		t.Errorf("tested is %+v", status.Tested)
	}
}

// What is made is what is brought to the host.
func TestPages(t *testing.T) {
	if made := []string{layout.Page, frontpage.StatusPage, frontpage.StatusData, frontpage.Feed}; !slices.Equal(layout.Pages, made) {
		t.Errorf("the pages are %q, and made are %q", layout.Pages, made)
	}
}

// The lines to paste take the newest of the packages with the keys.
func TestNewestKeyringFirst(t *testing.T) {
	file := func(version string, release int) ledger.File {
		return ledger.File{
			Path:    "rpm/x86_64/spire-release-" + version + ".noarch.rpm",
			Package: "spire-release", Source: "spire-release", Version: version, Release: release,
		}
	}
	archive := Archive{Sources: []pkgdef.Source{{Name: "spire"}}}
	of := ledger.Ledger{Files: []ledger.File{file("2026.9.24", 1), file("2026.11.24", 1), file("2026.11.24", 2), {Path: "a.rpm", Source: "spire"}}}
	var found []int
	for _, f := range archive.keyringFiles(of) {
		found = append(found, slices.IndexFunc(of.Files, func(one ledger.File) bool { return one == f }))
	}
	if want := []int{2, 1, 0}; !slices.Equal(found, want) {
		t.Errorf("the files are %v, want %v", found, want)
	}
}
