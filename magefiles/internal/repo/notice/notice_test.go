package notice

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
)

func revision(t *testing.T, label string) ledger.Revision {
	t.Helper()
	version, number, _ := strings.Cut(label, "-")
	release, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Revision{Source: "spire", Version: version, Release: release}
}

// about is a notice that is mended in versions.
func about(t *testing.T, source string, fixed ...string) pkgdef.Notice {
	t.Helper()
	n := pkgdef.Notice{Source: source, Title: strings.Join(fixed, " ")}
	for _, text := range fixed {
		var fix pkgdef.Fix
		if err := fix.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		n.Fixed = append(n.Fixed, fix)
	}
	return n
}

func TestUpdates(t *testing.T) {
	for name, test := range map[string]struct {
		offered, gone string
		fixed         string
		want          string
	}{
		"one of three":                       {"1.14.1-1 1.14.2-1 1.14.3-1", "", "1.14.2", "1.14.2-1"},
		"nothing is mended":                  {"1.14.1-1 1.14.2-1", "", "1.14.3", ""},
		"the first of all":                   {"1.14.2-1 1.14.3-1", "", "1.14.2", "1.14.2-1"},
		"the first packaging of it":          {"1.14.1-1 1.14.2-1 1.14.2-2", "", "1.14.2", "1.14.2-1"},
		"a packaging":                        {"1.14.2-1 1.14.2-2 1.14.2-3", "", "1.14.2-2", "1.14.2-2"},
		"each minor":                         {"1.13.3-1 1.13.4-1 1.14.1-1 1.14.2-1", "", "1.13.4 1.14.2", "1.13.4-1 1.14.2-1"},
		"a newer minor was never without":    {"1.13.3-1 1.13.4-1 1.14.0-1", "", "1.13.4", "1.13.4-1"},
		"older than all that ever was":       {"1.13.4-1 1.14.0-1", "", "1.12.3", ""},
		"retired: the next of its minor":     {"1.14.5-1", "1.14.1-1 1.14.2-1", "1.14.2", "1.14.5-1"},
		"retired: the next minor":            {"1.15.0-1 1.15.1-1", "1.14.1-1 1.14.2-1", "1.14.2", "1.15.0-1"},
		"retired, and the next needs it too": {"1.14.1-1 1.14.2-1", "1.13.3-1 1.13.4-1", "1.13.4 1.14.2", "1.14.2-1"},
		"never published":                    {"1.14.1-1 1.14.3-1 1.14.4-1", "", "1.14.2", "1.14.3-1"},
		"numbers, not words":                 {"1.14.9-1 1.14.10-1 1.14.11-1", "", "1.14.10", "1.14.10-1"},
		"a minor between, without a fix":     {"1.12.6-1 1.13.9-1 1.14.2-1", "1.12.5-1", "1.12.6 1.14.2", "1.12.6-1 1.14.2-1"},
		"no way back":                        {"1.12.7-1 1.13.9-1 1.14.3-1", "", "1.12.6 1.14.2", "1.14.3-1"},
	} {
		t.Run(name, func(t *testing.T) {
			var l ledger.Ledger
			for _, label := range strings.Fields(test.offered) {
				of := revision(t, label)
				for _, file := range []ledger.File{{Release: of.Release}, {Release: 0}} { // upstream's archive, too
					file.Source, file.Version = of.Source, of.Version
					l.Files = append(l.Files, file)
				}
			}
			for _, label := range strings.Fields(test.gone) {
				l.Tombstones = append(l.Tombstones, ledger.Tombstone{Path: fmt.Sprintf("apt/pool/main/s/spire/spire-agent_%s_amd64.deb", label)})
			}
			notices := []pkgdef.Notice{about(t, "spire", strings.Fields(test.fixed)...), about(t, "opa", "1.0.0")}
			var got []string
			for _, update := range Updates(l, notices) {
				if len(update.Notices) != 1 || update.Notices[0].Title != test.fixed {
					t.Errorf("%v", update)
				}
				got = append(got, fmt.Sprintf("%s-%d", update.Version, update.Release))
			}
			if diff := cmp.Diff(strings.Fields(test.want), got); diff != "" && len(got)+len(test.want) > 0 {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What several notices say of one revision is one update.
func TestTogether(t *testing.T) {
	l := ledger.Ledger{Files: []ledger.File{{Source: "spire", Version: "1.14.2", Release: 1}, {Source: "opa", Version: "1.14.2", Release: 1}}}
	updates := Updates(l, []pkgdef.Notice{about(t, "spire", "1.14.2"), about(t, "spire", "1.13.4", "1.14.2")})
	if len(updates) != 1 || len(updates[0].Notices) != 2 || !updates[0].Has(l.Files[0]) || updates[0].Has(l.Files[1]) {
		t.Errorf("%+v", updates)
	}
}
