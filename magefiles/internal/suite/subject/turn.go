package subject

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Turn are the sources that a long check takes for whoever waits for a commit: the main one,
// and one of the others, another one each day, or the one that SPIRE_TEST_TURN names. The
// rest is counted as left out; what names the check.
func (b Build) Turn(t *tally.Tally, what string, now time.Time) []Part {
	if len(b.Others) == 0 {
		return b.Parts()
	}
	today := b.Others[now.UTC().YearDay()%len(b.Others)]
	if asked := os.Getenv("SPIRE_TEST_TURN"); asked != "" {
		i := slices.IndexFunc(b.Others, func(p Part) bool { return p.Source.Name == asked })
		if i < 0 {
			t.Count(what+" "+asked, fmt.Errorf("SPIRE_TEST_TURN=%s is none of the sources beside %s that were built", asked, b.Source.Name), 0)
			return b.Parts()
		}
		today = b.Others[i]
	}
	for _, other := range b.Others {
		if other.Source.Name != today.Source.Name {
			t.Count(what+" "+other.Source.Name, tally.Skip(fmt.Sprintf("it takes long, and today it is the turn of %s: whoever wants another one sets SPIRE_TEST_TURN=%s", today.Source.Name, other.Source.Name)), 0)
		}
	}
	return []Part{b.Part, today}
}
