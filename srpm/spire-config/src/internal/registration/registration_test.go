package registration

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const serverID = "spiffe://example.org/spire/server"

var (
	token = Agent{ID: "spiffe://example.org/spire/agent/join_token/1"}
	pop   = Agent{ID: "spiffe://example.org/spire/agent/x509pop/2", Selectors: []Selector{{"x509pop", "ca:1"}, {"x509pop", "cn:2"}}}
	all   = []Entry{
		// Below one that comes later.
		{SPIFFEID: "spiffe://example.org/inner", ParentID: "spiffe://example.org/web", Selectors: []Selector{{"unix", "uid:2"}}},
		{SPIFFEID: "spiffe://example.org/web1", ParentID: token.ID, Selectors: []Selector{{"spiffe_id", token.ID}}},
		{SPIFFEID: "spiffe://example.org/fleet", ParentID: serverID, Selectors: []Selector{{"x509pop", "ca:1"}}},
		{SPIFFEID: "spiffe://example.org/none", ParentID: serverID, Selectors: []Selector{{"x509pop", "ca:1"}, {"x509pop", "cn:3"}}},
		{SPIFFEID: "spiffe://example.org/web", ParentID: "spiffe://example.org/web1", Selectors: []Selector{{"unix", "uid:1"}}},
		{SPIFFEID: "spiffe://example.org/far", ParentID: "spiffe://example.org/web9", Selectors: []Selector{{"unix", "uid:3"}}},
	}
)

func TestReach(t *testing.T) {
	for _, test := range []struct {
		agent Agent
		want  []string
	}{
		{token, []string{"inner", "spire/agent/join_token/1", "web", "web1"}},
		{pop, []string{"fleet", "spire/agent/x509pop/2"}},
	} {
		var got []string
		for id := range Reach(test.agent, serverID, all) {
			got = append(got, strings.TrimPrefix(id, "spiffe://example.org/"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestParent(t *testing.T) {
	for name, test := range map[string]struct {
		agents []Agent
		want   string
		words  string
	}{
		"by a token":      {[]Agent{token}, "spiffe://example.org/web1", ""},
		"by its property": {[]Agent{pop}, "spiffe://example.org/fleet", ""},
		"without a name":  {[]Agent{{ID: "spiffe://example.org/spire/agent/x"}}, "spiffe://example.org/spire/agent/x", ""},
		"none":            {nil, "", "no agent has attested yet"},
		"several":         {[]Agent{token, pop}, "", "there are 2 agents: say on which one the workload runs, by --parent: spiffe://example.org/fleet, spiffe://example.org/web1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parent(test.agents, serverID, all)
			if got != test.want || (err == nil) != (test.words == "") || err != nil && !strings.Contains(err.Error(), test.words) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	entry := Entry{Selectors: []Selector{{"unix", "uid:1"}, {"unix", "group:web"}}}
	if diff := cmp.Diff([]Selector{{"unix", "group:web"}}, entry.Missing([]Selector{{"unix", "uid:1"}, {"unix", "gid:1"}})); diff != "" {
		t.Error(diff)
	}
	if (Entry{}).Matches(nil) {
		t.Error("an entry without selectors is for nobody")
	}
}

func TestParseSelector(t *testing.T) {
	got, err := ParseSelector("k8s:pod-label:app:web")
	if err != nil || got != (Selector{"k8s", "pod-label:app:web"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "unix", "unix:", ":x"} {
		if _, err := ParseSelector(text); err == nil {
			t.Errorf("%q is a selector", text)
		}
	}
}
