package probe

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func TestLook(t *testing.T) {
	const id = "spiffe://example.org/spire/server"
	ca, other := testbed.NewCA(t, "example.org"), testbed.NewCA(t, "example.org")
	now := time.Now()
	from, until := now.Add(-time.Hour), now.Add(time.Hour)
	for name, test := range map[string]struct {
		address string
		words   string
	}{
		"the server":                     {testbed.Serve(t, ca.SVID(id, from, until), false), ""},
		"one that wants a certificate":   {testbed.Serve(t, ca.SVID(id, from, until), true), ""},
		"a man in the middle":            {testbed.Serve(t, other.SVID(id, from, until), false), "does not chain to the trust bundle"},
		"a man in the middle, and stale": {testbed.Serve(t, other.SVID(id, from.Add(-2*time.Hour), now.Add(-time.Hour)), false), "does not chain to the trust bundle"},
		"another trust domain":           {testbed.Serve(t, testbed.NewCA(t, "partner.test").SVID("spiffe://partner.test/spire/server", from, until), false), "another trust domain: it shows spiffe://partner.test/spire/server"},
		"a workload of the trust domain": {testbed.Serve(t, ca.SVID("spiffe://example.org/web", from, until), false), "it shows spiffe://example.org/web, a server is spiffe://example.org/spire/server"},
		"a web server":                   {testbed.Serve(t, ca.SVID("", from, until), false), "is no SPIRE server"},
		"something without TLS":          {testbed.ServePlain(t), "is no SPIRE server"},
		"a clock that is ahead":          {testbed.Serve(t, ca.SVID(id, from.Add(-time.Hour), now.Add(-90*time.Minute+30*time.Minute)), false), "this machine's clock is ahead by at least 1h0m"},
		"a clock that is behind":         {testbed.Serve(t, ca.SVID(id, now.Add(2*time.Hour), now.Add(3*time.Hour)), false), "this machine's clock is behind by at least"},
		"nobody":                         {"127.0.0.1:1", "does not answer"},
		"a name that nobody knows":       {"nowhere.invalid:8081", "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			server := Server{Address: test.address, TrustDomain: spiffeid.RequireTrustDomainFromString("example.org"), Bundle: []*x509.Certificate{ca.Root}, Now: now}
			shown, err := Look(t.Context(), server)
			switch {
			case err == nil && test.words == "" && shown.URIs[0].String() == id:
			case err == nil || test.words == "" || !strings.Contains(err.Error(), test.words):
				t.Errorf("got %v, want %q", err, test.words)
			}
		})
	}
}
