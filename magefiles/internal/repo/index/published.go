package index

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

// Published is a signed index where it is served, and what it leads to.
type Published struct {
	Path  string    // below the repository's root
	Made  time.Time // in whole seconds
	Until time.Time // apt refuses it from then on; zero for one of rpm-md, which has no end
	// Signature is text in the cleartext signature framework, a detached signature, or a
	// bare one by the key whose file Key names.
	Signature []byte
	Key       string
	// Signed is what is signed, and Text the path under which the public log has it.
	Signed []byte
	Text   string
	// For are the architectures that it is for: Go's names, and ForSource.
	For    []string
	Offers []Offer
	// Partial says that it has some of the packages only, whatever is the newest.
	Partial bool
}

// Offer is a file that an index offers to machines of an architecture.
type Offer struct {
	Path    string // below the repository's root
	Size    int64  // bytes
	Package string // of the file of a source package, the source
	Version string // with the packaging's release, such as 1.13.3-1
	For     string // the machines' architecture, by Go's name; of a source package ForSource
}

// ForSource is what source packages are offered to: all machines.
const ForSource = "source"

// Fresh is an error where clients do not take the index any more, or will not for
// long, or it is older than it should ever be: it is signed anew twice a week.
func (p Published) Fresh(now time.Time) error {
	const remedy = "sign the indexes again (the workflow repo-refresh, or `repo:build -refresh`)"
	made := p.Made.Format(time.RFC3339)
	switch {
	case p.Made.Sub(now) > ledger.Slack:
		return fmt.Errorf("it was made at %s, which is yet to come: clients refuse it", made)
	case !p.Until.IsZero() && !now.Before(p.Until):
		return fmt.Errorf("it has ended at %s, and apt refuses it: %s", p.Until.Format(time.RFC3339), remedy)
	case !p.Until.IsZero() && p.Until.Sub(now) <= ledger.Notice:
		return fmt.Errorf("it ends at %s, in %d hours, and then apt refuses it: %s", p.Until.Format(time.RFC3339), int(p.Until.Sub(now).Hours()), remedy)
	case now.Sub(p.Made) > ledger.Lifetime-ledger.Renewal:
		return fmt.Errorf("it is stale, made at %s, %d days ago: %s", made, int(now.Sub(p.Made).Hours()/24), remedy)
	}
	return nil
}

// Newest is the newest version of a package that is offered to an architecture;
// empty if none is.
func (p Published) Newest(pkg, arch string) string {
	newest := ""
	for _, offer := range p.Offers {
		if offer.Package == pkg && offer.For == arch && (newest == "" || compareLabels(offer.Version, newest) > 0) {
			newest = offer.Version
		}
	}
	return newest
}

// compareLabels compares versions with their releases.
func compareLabels(a, b string) int {
	split := func(label string) (string, int) {
		version, number, _ := strings.Cut(label, "-")
		release, _ := strconv.Atoi(number) // 0 where it is no number
		return version, release
	}
	versionA, releaseA := split(a)
	versionB, releaseB := split(b)
	return ledger.CompareVersions(versionA, releaseA, versionB, releaseB)
}
