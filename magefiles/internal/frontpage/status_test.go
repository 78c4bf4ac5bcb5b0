package frontpage

import (
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/browser"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

// state is a status as it may be: most is well, something failed, some was never run.
func state(t *testing.T) Status {
	t.Helper()
	s := Status{
		Site: site(t), Supports: []string{"1.13.3-2", "1.12.2-1", "spiffe-helper-0.11.0-1"},
		Log:    Log{Entries: 1234, Root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
		Places: []Place{{"debian-13", "amd64", false}, {"debian-12-arm64", "arm64", false}, {"debian-sid", "amd64", true}},
		Tested: []Tested{
			{"1.13.3-2", "debian-13", Failed, day(2026, time.November, 23)},
			{"1.13.3-2", "debian-13", Works, day(2026, time.November, 24)},
			{"1.13.3-2", "debian-sid", Failed, day(2026, time.November, 24)},
			{"1.12.2-1", "debian-12-arm64", NotRun, day(2026, time.May, 20)},
			{"0.0.1-1", "debian-13", Works, day(2026, time.November, 24)},
		},
		Assessed: []Assessed{
			{"1.13.3-2", day(2026, time.November, 24), "vex/spire_1.13.3-2.openvex.json", []Known{
				{"GO-2026-0001", []string{"CVE-2026-1"}, "pkg:golang/golang.org/x/net@v0.46.0", "not_affected", "vulnerable_code_not_in_execute_path", "no program here listens so"},
				{"GO-2026-0002", nil, "pkg:golang/stdlib@1.25.3", "affected", "", "Update."},
			}},
			{"spiffe-helper-0.11.0-1", day(2026, time.November, 24), "", nil},
		},
		Rebuilt: []Rebuilt{
			{"1.13.3-2", "alice", []string{"amd64", "arm64"}, "rebuilt/api/v1/builds/1/artifacts/1/attestation", day(2026, time.November, 24)},
			{"1.13.3-2", "bob", []string{"amd64"}, "rebuilt/api/v1/builds/2/artifacts/1/attestation", day(2026, time.November, 24)},
		},
		Accepted: []Accepted{{"GO-2026-0001", "golang.org/x/net", "no program here listens so", day(2027, time.January, 1), "vulnerable_code_not_in_execute_path"}},
	}
	s.Versions[0].Tagged = day(2026, time.November, 23).Add(9 * time.Hour)
	s.Versions[2].Tagged = day(2026, time.May, 1)
	return s
}

func files(t *testing.T, s Status) map[string][]byte {
	t.Helper()
	made, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestStatus(t *testing.T) {
	made := files(t, state(t))
	golden.Check(t, StatusPage+".golden", string(made[StatusPage]))
	golden.Check(t, StatusData+".golden", string(made[StatusData]))
	golden.Check(t, Feed+".golden", string(made[Feed]))
	if !json.Valid(made[StatusData]) {
		t.Error("the data are no JSON")
	}
	var feed struct {
		Entries []struct {
			ID string `xml:"id"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(made[Feed], &feed); err != nil || len(feed.Entries) != 5 || feed.Entries[0].ID != "https://packages.example.org/spire/#v1.13.3-2" {
		t.Errorf("the feed has %+v, %v", feed, err)
	}
	again := files(t, state(t))
	for name := range made {
		if string(made[name]) != string(again[name]) {
			t.Errorf("%s is another one each time", name)
		}
	}
}

var cells = regexp.MustCompile(`(?s)<th scope="row">debian-13</th>(.*?)</tr>`)

// What was seen last counts, and what was not seen is not said to work.
func TestStatusSays(t *testing.T) {
	row := cells.FindString(string(files(t, state(t))[StatusPage]))
	if strings.Count(row, ">works ") != 1 || strings.Count(row, ">not run<") != 2 || strings.Contains(row, "failed") {
		t.Errorf("debian-13 is shown as %s", row)
	}
	clean := state(t)
	clean.Accepted, clean.Assessed = nil, clean.Assessed[1:]
	if page := string(files(t, clean)[StatusPage]); !strings.Contains(page, "None is accepted") || strings.Contains(page, "GO-2026") || strings.Count(page, "nobody has looked") != 4 {
		t.Error("a vulnerability is shown that is not known, or what nobody has looked at is well")
	}
}

// Words of others cannot become markup, and a value out of its form is an error.
func TestStatusHostile(t *testing.T) {
	hostile := state(t)
	const script = "</td><script>alert(1)</script>"
	hostile.Accepted[0].Reason, hostile.Assessed[0].Known[0].Part, hostile.Rebuilt[0].By, hostile.Rebuilt[1].Attestation = script, script, script, "javascript:alert(1)"
	if page := string(files(t, hostile)[StatusPage]); strings.Contains(page, "<script") || strings.Contains(page, "javascript:") {
		t.Error("words become a script")
	}
	for name, spoil := range map[string]func(s *Status){
		"outcome": func(s *Status) { s.Tested[0].Outcome = "splendid" },
		"address": func(s *Status) { s.URL = "javascript:alert(1)" },
	} {
		s := state(t)
		spoil(&s)
		if _, err := s.Files(); err == nil || !strings.Contains(err.Error(), "writing the archive's status") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusBrowser(t *testing.T) {
	ctx := browser.Start(t)
	for _, screen := range browser.Screens {
		screen.Name = "status-" + screen.Name
		t.Run(screen.Name, func(t *testing.T) {
			page := screen.Show(ctx, t, files(t, state(t))[StatusPage])
			page.Look(t, "")
			page.Press(t, ".matrix", "")
		})
	}
}
