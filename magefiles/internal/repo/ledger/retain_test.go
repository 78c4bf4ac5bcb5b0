package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// days is so many days after the first of the tests' calendar.
func days(n int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * 24 * time.Hour)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRetained(t *testing.T) {
	for name, test := range map[string]struct {
		files []string // source version-release day
		now   int
		want  []string // that are retired
	}{
		"all is new":                       {[]string{"spire 1.10.0-1 0", "spire 1.11.0-1 0", "spire 1.12.0-1 0", "spire 1.12.1-1 0"}, 90, nil},
		"the newest patch of two minors":   {[]string{"spire 1.10.0-1 0", "spire 1.11.9-1 0", "spire 1.11.10-1 0", "spire 1.12.0-1 0", "spire 1.12.1-1 0"}, 91, []string{"spire 1.10.0-1 0", "spire 1.11.9-1 0", "spire 1.12.0-1 0"}},
		"the newest release of a patch":    {[]string{"spire 1.12.0-1 0", "spire 1.12.0-2 0", "spire 1.12.0-10 0"}, 91, []string{"spire 1.12.0-1 0", "spire 1.12.0-2 0"}},
		"numbers, not words":               {[]string{"spire 1.9.0-1 0", "spire 1.10.0-1 0", "spire 2.0.0-1 0"}, 91, []string{"spire 1.9.0-1 0"}},
		"an old minor published lately":    {[]string{"spire 1.9.0-1 80", "spire 1.10.0-1 0", "spire 1.11.0-1 0"}, 91, nil},
		"a file that came late":            {[]string{"spire 1.9.0-1 0", "spire 1.9.0-1 80", "spire 1.10.0-1 0", "spire 1.11.0-1 0"}, 91, nil},
		"another source has its own count": {[]string{"keyring 1.0.0-1 0", "spire 1.10.0-1 0", "spire 1.11.0-1 0"}, 500, nil},
		"days":                             {[]string{"keyring 2026.11.24-1 0", "keyring 2027.01.05-1 0", "keyring 2026.12.24-1 0"}, 500, []string{"keyring 2026.11.24-1 0"}},
		"the newest keyring":               {[]string{"keyring 1.0.0-1 0", "keyring 1.0.1-1 0"}, 500, []string{"keyring 1.0.0-1 0"}},
		"upstream's archive stays":         {[]string{"spire 1.11.0-0 0", "spire 1.11.0-1 0", "spire 1.11.0-2 0"}, 91, []string{"spire 1.11.0-1 0"}},
		"upstream's archive goes":          {[]string{"spire 1.9.0-0 0", "spire 1.9.0-1 0", "spire 1.10.0-1 0", "spire 1.11.0-1 0"}, 91, []string{"spire 1.9.0-0 0", "spire 1.9.0-1 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			var files []File
			for _, line := range test.files {
				var f File
				var published int
				var label string
				_, err := fmt.Sscan(line, &f.Source, &label, &published)
				must(t, err)
				version, release, _ := strings.Cut(label, "-")
				f.Version, f.Published, f.Path = version, days(published), line
				f.Release, err = strconv.Atoi(release)
				must(t, err)
				files = append(files, f)
			}
			stay, retired := retain(files, days(test.now))
			var got []string
			for _, f := range retired {
				got = append(got, f.Path)
			}
			if diff := cmp.Diff(test.want, got); diff != "" || len(stay)+len(retired) != len(files) {
				t.Errorf("retired (-want +got), %d stay:\n%s", len(stay), diff)
			}
		})
	}
}

func TestDue(t *testing.T) {
	folder := func(of Revision) string { return fmt.Sprintf("files/%s-%d", of.Version, of.Release) }
	read := func(line string) Released {
		e := Released{Source: "spire"}
		var published int
		_, err := fmt.Sscanf(strings.Replace(line, "-", " ", 1), "%s %d %d", &e.Version, &e.Release, &published)
		must(t, err)
		e.Published = days(published)
		return e
	}
	for name, test := range map[string]struct {
		has, gone, released []string // version-release day
		now                 int
		want                []string
	}{
		"the first of all":              {nil, nil, []string{"1.13.1-1 9", "1.13.0-1 0"}, 10, []string{"1.13.0-1", "1.13.1-1"}},
		"nothing is new":                {[]string{"1.13.0-1 0"}, nil, []string{"1.13.0-1 0"}, 10, nil},
		"one is new":                    {[]string{"1.13.0-1 0"}, nil, []string{"1.13.0-1 0", "1.13.1-1 5"}, 10, []string{"1.13.1-1"}},
		"a second packaging":            {[]string{"1.13.0-1 0"}, nil, []string{"1.13.0-2 5", "1.13.0-1 0"}, 10, []string{"1.13.0-2"}},
		"what was retired":              {[]string{"1.14.0-1 0"}, []string{"1.13.0-1 0"}, []string{"1.13.0-1 0"}, 10, nil},
		"an old patch":                  {[]string{"1.14.0-1 0"}, nil, []string{"1.13.0-1 0", "1.13.9-1 0", "1.13.10-1 0"}, 100, []string{"1.13.10-1"}},
		"an old minor":                  {[]string{"1.14.0-1 0", "1.13.0-1 0"}, nil, []string{"1.12.9-1 0"}, 100, nil},
		"an old minor, released lately": {[]string{"1.14.0-1 0", "1.13.0-1 0"}, nil, []string{"1.12.9-1 50"}, 100, []string{"1.12.9-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var l Ledger
			for _, line := range test.has {
				e := read(line)
				l.Files = append(l.Files, File{
					Path: fmt.Sprintf("files/%s-%d/SHA256SUMS", e.Version, e.Release), Source: "spire",
					Version: e.Version, Release: e.Release, Published: e.Published,
				})
			}
			for _, line := range test.gone {
				e := read(line)
				l.Tombstones = append(l.Tombstones, Tombstone{Path: fmt.Sprintf("files/%s-%d/SHA256SUMS", e.Version, e.Release)})
			}
			var released []Released
			for _, line := range test.released {
				released = append(released, read(line))
			}
			var got []string
			for _, e := range l.Due(released, days(test.now), folder) {
				got = append(got, fmt.Sprintf("%s-%d", e.Version, e.Release))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
		})
	}
}
