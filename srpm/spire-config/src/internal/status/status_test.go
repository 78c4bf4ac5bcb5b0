package status

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func TestOfMachine(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	before := written(t, bed.Machine)
	for _, words := range []string{"spire-server    1.14.5 inactive disabled", "trust domain  example.org", "nothing answers there: the service does not run"} {
		if !strings.Contains(before, words) {
			t.Errorf("it does not say %q:\n%s", words, before)
		}
	}
	file := filepath.Join(t.TempDir(), "invitation")
	for _, err := range []error{
		setup.Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}.Run(t.Context(), bed.Machine),
		enroll.Invite{Name: "host", TTL: time.Minute, Output: file}.Run(t.Context(), bed.Machine),
		enroll.Join{File: file, Start: true}.Run(t.Context(), bed.Machine),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	after := written(t, bed.Machine)
	for _, words := range []string{"spire-agent     1.14.5 active enabled", "registered    1 agents, 1 entries", "SVID          spiffe://prod.test/spire/agent/join_token/", "health        healthy"} {
		if !strings.Contains(after, words) {
			t.Errorf("it does not say %q:\n%s", words, after)
		}
	}
	stable(t, bed.Machine)
}

func written(t *testing.T, m machine.Machine) string {
	t.Helper()
	var out bytes.Buffer
	if err := Of(t.Context(), m, "1.0").Write(&out, time.Now()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// stable has the names that other programs may rely on.
func stable(t *testing.T, m machine.Machine) {
	t.Helper()
	text, err := Of(t.Context(), m, "1.0").JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	server, agent := got["server"].(map[string]any), got["agent"].(map[string]any)
	for _, name := range []string{"version", "trust_domain", "active", "enabled", "healthy", "address", "spiffe_id", "svid_expires", "agents", "entries", "bundle_expires"} {
		if _, ok := server[name]; !ok {
			t.Errorf("the server has no %s", name)
		}
	}
	if diff := cmp.Diff([]any{"prod.test", true, "1.0"}, []any{agent["trust_domain"], agent["healthy"], got["spire_config"]}); diff != "" {
		t.Error(diff)
	}
}
