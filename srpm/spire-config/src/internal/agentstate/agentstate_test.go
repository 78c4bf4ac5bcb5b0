package agentstate_test

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/agentstate"
	"github.com/spiffe-experimental/spire-config/internal/bundle"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// stored writes a state as SPIRE does: each certificate in PEM, in base64.
func stored(t *testing.T, svid, roots []*x509.Certificate) string {
	t.Helper()
	pems := func(all []*x509.Certificate) [][]byte {
		var written [][]byte
		for _, one := range all {
			written = append(written, bundle.PEM([]*x509.Certificate{one}))
		}
		return written
	}
	text, err := json.Marshal(map[string]any{"svid": pems(svid), "bundle": pems(roots), "reattestable": false})
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "agent-data.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func read(t *testing.T, folder string) agentstate.State {
	t.Helper()
	state, err := agentstate.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestRead(t *testing.T) {
	ca, other := testbed.NewCA(t, "prod.test"), testbed.NewCA(t, "prod.test")
	end := time.Now().Add(time.Hour).Truncate(time.Second)
	svid := ca.SVID("spiffe://prod.test/spire/agent/x", time.Now(), end).Leaf
	folder := stored(t, []*x509.Certificate{svid}, []*x509.Certificate{ca.Root})
	state := read(t, folder)
	if state.ID().String() != "spiffe://prod.test/spire/agent/x" || !state.Expires().Equal(end) || state.Empty() {
		t.Errorf("%v until %v", state.ID(), state.Expires())
	}
	if !state.Shares([]*x509.Certificate{other.Root, ca.Root}) || state.Shares([]*x509.Certificate{other.Root}) {
		t.Error("whom it trusts is wrong")
	}
	if files := agentstate.Files(folder); len(files) != 1 || filepath.Base(files[0]) != "agent-data.json" {
		t.Errorf("%q", files)
	}
}

// TestForgotten is an agent that the server has banned: it deletes its SVID, and keeps the
// bundle.
func TestForgotten(t *testing.T) {
	state := read(t, stored(t, nil, []*x509.Certificate{testbed.NewCA(t, "prod.test").Root}))
	if !state.ID().IsZero() || state.TrustDomain().Name() != "prod.test" || state.Empty() || !state.Expires().IsZero() {
		t.Errorf("%v of %v", state.ID(), state.TrustDomain())
	}
}

func TestNone(t *testing.T) {
	if state := read(t, t.TempDir()); !state.Empty() || !state.TrustDomain().IsZero() {
		t.Errorf("%+v", state)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "agent-data.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := agentstate.Read(folder); err == nil || !strings.Contains(err.Error(), "reading the agent's state") {
		t.Error(err)
	}
}
