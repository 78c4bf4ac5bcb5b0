package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
)

// Terms are on what terms a scenario is played, which lines of its script say.
type Terms struct {
	// Nights is why who waits is not to wait for it; empty where everybody is.
	Nights string
	// Newest says that where somebody waits, the newest target of each package manager
	// plays it for the older ones.
	Newest bool
	// Suite says that it is not about packages: a suite that lends its root to rpm plays it
	// in its own row.
	Suite bool
	// RPM says that it is about rpm and not about what calls it: of the stand-ins dnf's
	// plays it.
	RPM bool
}

// The lines that say so.
const (
	nights = "# The nights play it: "
	newest = "# The newest of a family plays it."
	suite  = "# A suite's own row plays it."
	rpm    = "# Of the stand-ins, dnf's plays it."
)

// TermsOf reads a scenario's terms.
func TermsOf(dir, name string) (Terms, error) {
	script, err := os.ReadFile(filepath.Join(dir, name+".sh"))
	if err != nil {
		return Terms{}, fmt.Errorf("reading the scenario: %w", err)
	}
	var terms Terms
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		if why, ok := strings.CutPrefix(line, nights); ok {
			terms.Nights = strings.TrimSuffix(why, ".")
		}
		terms.Newest = terms.Newest || line == newest
		terms.Suite = terms.Suite || line == suite
		terms.RPM = terms.RPM || line == rpm
	}
	return terms, nil
}

// leftOut is why a scenario is not played at a target, though it is elsewhere; empty where it
// is played.
func (h *Host) leftOut(target matrix.Target, name string) (string, error) {
	terms, err := TermsOf(h.Scenarios, name)
	if err != nil {
		return "", err
	}
	switch {
	case terms.Suite && target.Image.StandIn:
		return "the suite's own row plays it, which has the same programs, units and systemd", nil
	case terms.RPM && target.Image.StandIn && target.Client() == "zypper":
		return "the stand-in with dnf plays it, which has the same rpm, units and systemd", nil
	case terms.Newest && slices.Contains(h.Older, target.Name()):
		return "a newer row of the family plays it: whoever wants to know asks test:distros, as each night does", nil
	case len(h.Emulated) > 0 && !target.Hosted() && !slices.Contains(h.Emulated, name):
		return "an emulated processor is slow: whoever wants to know asks test:distros -scenario=" + name, nil
	}
	return "", nil
}

// parted are the scenarios that are played at a target, and the results of those that are not.
func (h *Host) parted(target matrix.Target, scenarios []string) (played []string, skipped Report, err error) {
	for _, name := range scenarios {
		why, err := h.leftOut(target, name)
		if err != nil {
			return nil, nil, err
		}
		if why == "" {
			played = append(played, name)
			continue
		}
		result := every(target, []string{name}, container.ErrSkip)[0]
		result.Reason = why
		skipped = append(skipped, result)
	}
	return played, skipped, nil
}
