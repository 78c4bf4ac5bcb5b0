package subject

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// Each source has its turn, the main one always, and who has not is named.
func TestTurn(t *testing.T) {
	part := func(name string) Part { return Part{Source: pkgdef.Source{Name: name}} }
	b := Build{Part: part("spire"), Others: []Part{part("a"), part("b"), part("c")}}
	now := time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC)
	var turns []string
	for range b.Others {
		var log strings.Builder
		count := &tally.Tally{Log: &log}
		got := b.Turn(count, "rebuild", now)
		if len(got) != 2 || got[0].Source.Name != "spire" {
			t.Fatalf("%v", got)
		}
		turns = append(turns, got[1].Source.Name)
		if strings.Count(log.String(), "SKIP rebuild ") != 2 || strings.Contains(log.String(), "SKIP rebuild "+got[1].Source.Name) {
			t.Errorf("on the day of %s: %s", got[1].Source.Name, log.String())
		}
		now = now.AddDate(0, 0, 1)
	}
	if slices.Sort(turns); !slices.Equal(turns, []string{"a", "b", "c"}) {
		t.Errorf("three days: %v", turns)
	}
	t.Setenv("SPIRE_TEST_TURN", "b")
	if got := b.Turn(&tally.Tally{Log: new(strings.Builder)}, "rebuild", now.AddDate(0, 0, 1)); got[1].Source.Name != "b" {
		t.Errorf("not the one that was asked for: %v", got[1].Source.Name)
	}
	t.Setenv("SPIRE_TEST_TURN", "z")
	misspelt := &tally.Tally{Log: new(strings.Builder)}
	if got := b.Turn(misspelt, "rebuild", now); len(got) != 4 || misspelt.Close() == nil {
		t.Errorf("a source that is not there is no failure: %v", got)
	}
	b.Others = nil
	if got := b.Turn(&tally.Tally{Log: new(strings.Builder)}, "rebuild", now); len(got) != 1 {
		t.Errorf("one source: %v", got)
	}
}
