package osv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/osv/osvtest"
)

var (
	sqlite = osv.Package{Ecosystem: "Alpine", Name: "sqlite", Version: "3.50.4"}
	module = osv.Package{Ecosystem: "Go", Name: "example.org/Mixed/case", Version: "1.2.3"}
	clean  = osv.Package{Ecosystem: "Go", Name: "example.org/clean", Version: "1.0.0"}
)

func server(t *testing.T) *osvtest.Server {
	t.Helper()
	s := osvtest.New(t)
	for i := range 5 {
		s.Add(sqlite, osvtest.Advisory{ID: fmt.Sprintf("ALPINE-CVE-2026-%d", i), Summary: "x", Aliases: []string{"bad\x1b"}, Upstream: []string{"CVE-2026-1"}, Fixed: "3.50.5-r0"})
	}
	s.Add(module, osvtest.Advisory{ID: "GO-2026-0001", Summary: "y"})
	s.Add(module, osvtest.Advisory{ID: "GO-2026-0002", Withdrawn: "2026-01-01T00:00:00Z"})
	return s
}

func client(s *osvtest.Server) osv.Client {
	return osv.Client{Address: s.URL, Attempts: 3, Pause: time.Millisecond, Patience: 5 * time.Second}
}

// All pages of all packages come, and what was withdrawn does not.
func TestAsk(t *testing.T) {
	s := server(t)
	found, err := client(s).Ask(t.Context(), []osv.Package{clean, sqlite, module})
	if err != nil {
		t.Fatal(err)
	}
	if len(found[sqlite]) != 5 || len(found) != 2 || s.Count("/v1/querybatch") != 3 {
		t.Errorf("%d packages have something, sqlite %d, by %d calls", len(found), len(found[sqlite]), s.Count("/v1/querybatch"))
	}
	want := []osv.Advisory{{ID: "GO-2026-0001", Summary: "y"}}
	if diff := cmp.Diff(want, found[module]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	one := osv.Advisory{ID: "ALPINE-CVE-2026-0", Summary: "x", Aliases: []string{"CVE-2026-1"}, Fixed: []string{"3.50.5-r0"}}
	if diff := cmp.Diff(one, found[sqlite][0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if found, err := client(s).Ask(t.Context(), nil); err != nil || len(found) > 0 {
		t.Errorf("of nothing: %v, %v", found, err)
	}
}

// What passes is asked again; what does not is an error, and never no finding.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		path   string
		status []int
		want   string // of the error; empty: there is none
	}{
		"500 once":        {"/v1/querybatch", []int{500}, ""},
		"503, 429":        {"/v1/querybatch", []int{503, 429}, ""},
		"429 at details":  {"/v1/vulns/", []int{429, 429}, ""},
		"500 always":      {"/v1/querybatch", []int{500, 500, 500}, "was answered 500"},
		"429 always":      {"/v1/vulns/", []int{429, 429, 429}, "was answered 429"},
		"400":             {"/v1/querybatch", []int{400}, `was answered 400: "{\"code\":3`},
		"404 of a detail": {"/v1/vulns/", []int{404}, "was answered 404"},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			s.Fail(c.path, c.status...)
			found, err := client(s).Ask(t.Context(), []osv.Package{sqlite, module})
			if c.want == "" && (err != nil || len(found) != 2) || c.want != "" && (err == nil || found != nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%d packages, error %v, want %q", len(found), err, c.want)
			}
			if errors.As(err, new(osv.Unreachable)) {
				t.Errorf("it answered, and %v", err)
			}
		})
	}
}

// What comes may be anything.
func TestHostileAnswers(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"no JSON":        {"<html>", "reading OSV's answer"},
		"too few":        {`{"results":[]}`, "asked for 1 packages, and its answer is about 0"},
		"a hostile name": {`{"results":[{"vulns":[{"id":"../x\u001b"}]}]}`, `names a vulnerability "../x\x1b"`},
		"pages for ever": {`{"results":[{"next_page_token":"again"}]}`, "more than 50 pages"},
		"an endless one": {`{"results":[{"vulns":[` + strings.Repeat(" ", 33<<20), "more than 33554432 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := osvtest.New(t)
			s.Answer("/v1/querybatch", c.body)
			if _, err := client(s).Ask(t.Context(), []osv.Package{sqlite}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	s := osvtest.New(t)
	s.Add(sqlite, osvtest.Advisory{ID: "CVE-1"})
	s.Answer("/v1/vulns/", `{"id":"CVE-2"}`)
	if _, err := client(s).Ask(t.Context(), []osv.Package{sqlite}); err == nil || !strings.Contains(err.Error(), `asked for CVE-1, and its answer is about "CVE-2"`) {
		t.Errorf("error %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	for name, c := range map[string]osv.Client{
		"nobody listens": {Address: "http://127.0.0.1:1", Attempts: 1},
		"nobody answers": {Address: osvtest.Silent(t), Attempts: 1, Patience: 100 * time.Millisecond},
	} {
		_, err := c.Ask(t.Context(), []osv.Package{sqlite})
		if !errors.As(err, new(osv.Unreachable)) || !strings.Contains(err.Error(), "OSV cannot be reached") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
