package attestor

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// fleet is a PKI with a certificate for a host.
func fleet(t *testing.T) (root, certificate, key string) {
	t.Helper()
	folder := t.TempDir()
	ca := testbed.NewCA(t, "fleet.test")
	host := ca.SVID("", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	secret, err := x509.MarshalECPrivateKey(host.PrivateKey.(*ecdsa.PrivateKey))
	testbed.Must(t, err)
	root, certificate, key = filepath.Join(folder, "root.crt"), filepath.Join(folder, "host.crt"), filepath.Join(folder, "host.key")
	testbed.Must(t, os.WriteFile(root, bundle.PEM([]*x509.Certificate{ca.Root}), 0o644))
	testbed.Must(t, os.WriteFile(certificate, bundle.PEM([]*x509.Certificate{host.Leaf}), 0o644))
	testbed.Must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	return root, certificate, key
}

// TestX509POP moves an agent from its join token to a certificate.
func TestX509POP(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	root, certificate, key := fleet(t)
	testbed.Must(t, setup.Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}.Run(t.Context(), bed.Machine))
	invitation := filepath.Join(t.TempDir(), "invitation")
	testbed.Must(t, enroll.Invite{Name: "host", TTL: time.Minute, Output: invitation}.Run(t.Context(), bed.Machine))
	testbed.Must(t, enroll.Join{File: invitation, Start: true}.Run(t.Context(), bed.Machine))

	server := Server{Plugin: "x509pop", Files: []Setting{{"ca_bundle_path", root}}, Start: true}
	testbed.Must(t, server.Run(t.Context(), bed.Machine))
	agent := X509POP(certificate, key)
	agent.Force = true
	if err := agent.Run(t.Context(), bed.Machine); err == nil || !strings.Contains(err.Error(), "the agent is running") {
		t.Errorf("an agent that runs: %v", err)
	}
	agent.Start = true
	testbed.Must(t, agent.Run(t.Context(), bed.Machine))
	if !strings.Contains(bed.Out.String(), "spire-agent.service runs as spiffe://prod.test/spire/agent/x509pop/") {
		t.Errorf("it says %s", bed.Out)
	}
	if strings.Contains(bed.Read(bed.AgentConfig()), "join_token =") {
		t.Error("the configuration still has a join token")
	}
	before := bed.Snapshot()
	agent.Force = false
	testbed.Must(t, agent.Run(t.Context(), bed.Machine))
	testbed.Must(t, server.Run(t.Context(), bed.Machine))
	if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
		t.Errorf("twice is not once: %s", diff)
	}
}

func TestEdit(t *testing.T) {
	bed := testbed.New(t)
	before := bed.Read(bed.AgentConfig())
	for name, test := range map[string]struct {
		agent  Agent
		want   string
		dropIn string
	}{
		"x509pop": {X509POP("/c", "/k"), `    NodeAttestor "x509pop" {
        plugin_data {
            certificate_path = "/c"
            private_key_path = "${CREDENTIALS_DIRECTORY}/x509pop.key"
        }
    }
`, "LoadCredential=x509pop.key:/k"},
		"sshpop": {SSHPOP("/c", "/k"), `    NodeAttestor "sshpop" {
        plugin_data {
            host_cert_path = "/c"
            host_key_path = "${CREDENTIALS_DIRECTORY}/sshpop.key"
        }
    }
`, "LoadCredential=sshpop.key:/k"},
		"tpm": {TPM("/c", "/a", "/b"), `    NodeAttestor "tpm_devid" {
        plugin_data {
            devid_cert_path = "/c"
            devid_priv_path = "/a"
            devid_pub_path = "/b"
        }
    }
`, "PrivateDevices=no DevicePolicy=closed DeviceAllow=/dev/tpmrm0 rw SupplementaryGroups=tss"},
		"http-challenge": {HTTPChallenge("web1.prod.test", 80), `    NodeAttestor "http_challenge" {
        plugin_data {
            hostname = "web1.prod.test"
            port = "80"
        }
    }
`, "CapabilityBoundingSet=CAP_NET_BIND_SERVICE AmbientCapabilities=CAP_NET_BIND_SERVICE"},
		"http-challenge on a port of anybody's": {HTTPChallenge("web1.prod.test", 8080), `    NodeAttestor "http_challenge" {
        plugin_data {
            hostname = "web1.prod.test"
            port = "8080"
        }
    }
`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			edited, err := test.agent.edit([]byte(before))
			testbed.Must(t, err)
			want := strings.Replace(before, "    NodeAttestor \"join_token\" {\n        plugin_data {}\n    }\n", test.want, 1)
			want = strings.Replace(want, "    join_token = \"${SPIRE_JOIN_TOKEN}\"\n", "", 1)
			if diff := cmp.Diff(want, string(edited)); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(test.agent.lines(), " "); got != test.dropIn {
				t.Errorf("the drop-in has %s", got)
			}
		})
	}
}

// TestHTTPChallenge has a server connect to an agent by the name that it gives, and one
// that may not have it refused.
func TestHTTPChallenge(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	testbed.Must(t, setup.Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}.Run(t.Context(), bed.Machine))
	invitation := filepath.Join(t.TempDir(), "invitation")
	testbed.Must(t, enroll.Invite{Name: "host", TTL: time.Minute, Output: invitation}.Run(t.Context(), bed.Machine))
	testbed.Must(t, enroll.Join{File: invitation, Start: true}.Run(t.Context(), bed.Machine))
	own, err := os.Hostname()
	testbed.Must(t, err)
	if _, err := net.DefaultResolver.LookupHost(t.Context(), own); err != nil {
		t.Skipf("NOT TESTED: this machine does not know its own name: %v", err)
	}
	port := testbed.FreePort(t)
	for _, step := range []struct{ hosts, words string }{
		// The whole name has to fit.
		{own[:len(own)-1], "the requested hostname is not allowed to connect"},
		{`web[0-9]+\.prod\.test|` + own, ""},
	} {
		server := ServerHTTPChallenge([]string{step.hosts}, port)
		server.Start = true
		testbed.Must(t, server.Run(t.Context(), bed.Machine))
		agent := HTTPChallenge(own, port)
		agent.Start, agent.Force = true, true
		if err := agent.Run(t.Context(), bed.Machine); (err == nil) != (step.words == "") || err != nil && !strings.Contains(err.Error()+said(t, bed), step.words) {
			t.Fatalf("%s: error %v, want %q, and it has said %s", step.hosts, err, step.words, said(t, bed))
		}
	}
	if !strings.Contains(bed.Out.String(), "spire-agent.service runs as spiffe://prod.test/spire/agent/http_challenge/"+own) {
		t.Errorf("it says %s", bed.Out)
	}
}

// said is what the agent has in its journal.
func said(t *testing.T, bed *testbed.Bed) string {
	t.Helper()
	lines, err := bed.Systemd.Journal(t.Context(), layout.AgentUnit, 100)
	testbed.Must(t, err)
	return strings.Join(lines, "\n")
}

func TestHosts(t *testing.T) {
	for _, test := range []struct {
		server Server
		words  string
	}{
		{ServerHTTPChallenge([]string{"web[0-9"}, 80), `hosts "web[0-9"`},
		{ServerHTTPChallenge([]string{"web1"}, 70000), "port 70000: want one"},
	} {
		if err := test.server.Run(t.Context(), testbed.New(t).Machine); err == nil || !strings.Contains(err.Error(), test.words) {
			t.Errorf("error %v, want %q", err, test.words)
		}
	}
	bed := testbed.New(t)
	edited, err := ServerHTTPChallenge([]string{`web[0-9]+\.prod\.test`, "db1"}, 80).edit([]byte(bed.Read(bed.ServerConfig())))
	testbed.Must(t, err)
	want := `        plugin_data {
            required_port = "80"
            allowed_dns_patterns = ["^(?:web[0-9]+\\.prod\\.test)$$", "^(?:db1)$$"]
        }
`
	if !strings.Contains(string(edited), want) {
		t.Errorf("it has not\n%s\nbut\n%s", want, edited)
	}
}

// An agent that has never joined is told whose it is.
func TestWhose(t *testing.T) {
	agent := HTTPChallenge("web1.prod.test", 8080)
	agent.TrustDomain, agent.Server = "prod.test", "spire.prod.test:443"
	bed := testbed.New(t)
	edited, err := agent.edit([]byte(bed.Read(bed.AgentConfig())))
	testbed.Must(t, err)
	for _, line := range []string{`trust_domain = "prod.test"`, `server_address = "spire.prod.test"`, `server_port = "443"`} {
		if !strings.Contains(string(edited), line) {
			t.Errorf("it has no %s:\n%s", line, edited)
		}
	}
	agent.Server = "2001:db8::1"
	if edited, err = agent.edit([]byte(bed.Read(bed.AgentConfig()))); err != nil || !strings.Contains(string(edited), `server_address = "2001:db8::1"`) || !strings.Contains(string(edited), `server_port = "8081"`) {
		t.Errorf("%v\n%s", err, edited)
	}
	for _, wrong := range []Agent{{TrustDomain: "a b"}, {Server: "a b"}, {Server: "spire.prod.test:x"}} {
		before := bed.Snapshot()
		if err := wrong.Run(t.Context(), bed.Machine); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
		if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOldSystemd(t *testing.T) {
	_, certificate, key := fleet(t)
	bed := testbed.New(t)
	bed.Systemd.Version = "v239 (239-82.el8)"
	if err := X509POP(certificate, key).Run(t.Context(), bed.Machine); err == nil || !strings.Contains(err.Error(), "systemd here is 239, and LoadCredential= needs 247") {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	root, certificate, key := fleet(t)
	spoiled := X509POP(certificate, key)
	spoiled.Bundle = key
	for name, test := range map[string]struct {
		agent Agent
		words string
	}{
		"no such file":   {X509POP(certificate, "/nowhere/key"), "no such file"},
		"half a path":    {X509POP("host.crt", key), "give the whole path"},
		"no bundle":      {spoiled, "is no trust bundle"},
		"no port":        {HTTPChallenge("web1.prod.test", 0), "port 0: want one"},
		"this machine":   {HTTPChallenge("localhost", 80), "localhost is no name by which another machine"},
		"an address":     {HTTPChallenge("192.0.2.1", 80), "192.0.2.1 is no name"},
		"no name":        {HTTPChallenge("web 1", 80), `"web 1" is no name`},
		"not the server": {Agent{Plugin: "x509pop", Files: []Setting{{"x", root}}, Bundle: "/nowhere"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			before := bed.Snapshot()
			err := test.agent.Run(t.Context(), bed.Machine)
			if err == nil || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want %q", err, test.words)
			}
			if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
