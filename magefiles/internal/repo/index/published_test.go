package index

import (
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

func TestFresh(t *testing.T) {
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const second = time.Second
	until := day.Add(ledger.Lifetime)
	for name, c := range map[string]struct {
		now, until time.Time
		want       string // empty for no error
	}{
		"new":               {day, until, ""},
		"a week":            {day.Add(7 * 24 * time.Hour), until, ""},
		"over a week":       {day.Add(7*24*time.Hour + second), until, "it is stale, made at 2026-03-01T12:00:00Z, 7 days ago"},
		"rpm, over a week":  {day.Add(20 * 24 * time.Hour), time.Time{}, "20 days ago"},
		"rpm, a week":       {day.Add(7 * 24 * time.Hour), time.Time{}, ""},
		"three days left":   {until.Add(-ledger.Notice), until, "it ends at 2026-03-15T12:00:00Z, in 72 hours"},
		"more than three":   {until.Add(-ledger.Notice - second), until, "it is stale"},
		"short, three days": {day.Add(second), day.Add(ledger.Notice), "in 71 hours"},
		"the end":           {until, until, "it has ended at 2026-03-15T12:00:00Z"},
		"a wrong clock":     {day.Add(-ledger.Slack), until, ""},
		"the future":        {day.Add(-ledger.Slack - second), until, "which is yet to come"},
	} {
		err := Published{Made: day, Until: c.until}.Fresh(c.now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
