package enroll

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/registration"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// server is a machine whose server runs for a trust domain.
func server(t *testing.T, td string) *testbed.Bed {
	t.Helper()
	bed := testbed.New(t)
	asked := setup.Server{TrustDomain: td, Address: "127.0.0.1", Port: testbed.FreePort(t), Start: true}
	if err := asked.Run(t.Context(), bed.Machine); err != nil {
		t.Fatal(err)
	}
	return bed
}

// invite returns the file of an invitation of web1.
func invite(t *testing.T, from *testbed.Bed) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "invitation")
	if err := (Invite{Name: "web1", TTL: time.Minute, Output: file}).Run(t.Context(), from.Machine); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFromServerToSVID(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	file := invite(t, home)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the invitation has mode %v, %v", info.Mode(), err)
	}
	token := parse(t, file).Token
	agent := testbed.New(t)
	join := Join{File: file, Start: true}
	run(t, agent, join, "")
	if text := agent.Read(agent.AgentEnv()); text != "" {
		t.Errorf("agent.env keeps %q", text)
	}
	noToken(t, agent, token)
	register(t, home, "web1")
	fetched(t, agent, "spiffe://example.org/web")

	before := agent.Snapshot()
	run(t, agent, join, "")
	if !strings.Contains(agent.Out.String(), "already attested") || !strings.Contains(agent.Out.String(), "nothing to change") {
		t.Errorf("the second time it says %q", agent.Out)
	}
	if diff := cmp.Diff(before, agent.Snapshot()); diff != "" {
		t.Errorf("twice is not once: %s", diff)
	}
}

// An invitation for longer than the trust bundle in it is made, and a warning with it.
func TestInviteOutlivesItsBundle(t *testing.T) {
	testbed.Programs(t)
	bed := server(t, "prod.test")
	for ttl, warned := range map[time.Duration]bool{time.Hour: false, 30 * 24 * time.Hour: true} {
		bed.Notes.Reset()
		testbed.Must(t, Invite{Name: "a", TTL: ttl, Output: "-"}.Run(t.Context(), bed.Machine))
		if strings.Contains(bed.Notes.String(), "before its join token") != warned {
			t.Errorf("for %s it says %q", ttl, bed.Notes)
		}
	}
}

func TestTokenIsUsedOnce(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	file := invite(t, home)
	run(t, testbed.New(t), Join{File: file, Start: true}, "")
	run(t, testbed.New(t), Join{File: file, Start: true}, "the join token was used already")
}

func TestOtherServers(t *testing.T) {
	testbed.Programs(t)
	home, namesake, partner := server(t, "example.org"), server(t, "example.org"), server(t, "partner.test")
	file := invite(t, home)
	for name, test := range map[string]struct {
		server *testbed.Bed
		words  string
	}{
		"a man in the middle":  {namesake, "does not chain to the trust bundle"},
		"another trust domain": {partner, "is of another trust domain: it shows spiffe://partner.test/spire/server, expected is spiffe://example.org/spire/server"},
	} {
		t.Run(name, func(t *testing.T) {
			redirected := parse(t, file)
			redirected.Address = address(t, test.server)
			refused(t, redirected, test.words)
		})
	}
	t.Run("nobody", func(t *testing.T) {
		redirected := parse(t, file)
		redirected.Address = fmt.Sprintf("127.0.0.1:%d", testbed.FreePort(t))
		refused(t, redirected, "does not answer")
	})
}

func TestAgentOfAnotherTrustDomain(t *testing.T) {
	testbed.Programs(t)
	home, partner := server(t, "example.org"), server(t, "partner.test")
	agent := testbed.New(t)
	run(t, agent, Join{File: invite(t, home), Start: true}, "")
	before := agent.Snapshot()
	other := invite(t, partner)
	run(t, agent, Join{File: other, Start: true}, "attested to another trust domain already")
	if diff := cmp.Diff(before, agent.Snapshot()); diff != "" {
		t.Errorf("a refusal changes something: %s", diff)
	}
	run(t, agent, Join{File: other, Force: true}, "systemctl stop spire-agent.service before")
	agent.Replace(agent.AgentConfig(), `"INFO"`, `"LOUD"`)
	run(t, agent, Join{File: other, Start: true, Force: true}, "spire-agent validate refuses")
	if state, err := agent.AgentIdentity(); err != nil || state.TrustDomain().Name() != "example.org" {
		t.Errorf("what is refused gives up the state: %v, %v", state.ID(), err)
	}
	agent.Replace(agent.AgentConfig(), `"LOUD"`, `"INFO"`)
	run(t, agent, Join{File: other, Start: true, Force: true}, "")
	if !strings.Contains(agent.Out.String(), "has attested to the trust domain partner.test") {
		t.Errorf("it says %q", agent.Out)
	}
	kept := filepath.Join(agent.AgentState(""), "agent-data.json.before-spire-config")
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestOtherLinesStay(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	agent := testbed.New(t)
	agent.Replace(agent.AgentConfig(), `log_level = "INFO"`, "log_level = \"DEBUG\" # my own\n    insecure_bootstrap = false")
	before := agent.Read(agent.AgentConfig())
	run(t, agent, Join{File: invite(t, home)}, "")
	after := agent.Read(agent.AgentConfig())
	if !strings.Contains(after, "log_level = \"DEBUG\" # my own\n}") {
		t.Errorf("the configuration is now:\n%s", after)
	}
	if kept := agent.Read(agent.AgentConfig() + ".before-spire-config"); kept != before {
		t.Error("the former configuration was not kept as it was")
	}
	if !strings.Contains(agent.Read(agent.AgentEnv()), layout.TokenVariable+"=") {
		t.Error("without a start the token is not kept for it")
	}
	if len(agent.Systemd.Calls) > 0 {
		t.Errorf("nothing was to be started, and systemd was asked to %v", agent.Systemd.Calls)
	}
}

func TestDryRun(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	file := invite(t, home)
	agent := testbed.New(t)
	agent.Replace(agent.AgentConfig(), "${SPIRE_JOIN_TOKEN}", "11111111-literal")
	agent.Write(agent.AgentEnv(), 0o600, "AWS_SECRET=hidden\n")
	before := agent.Snapshot()
	agent.DryRun = true
	run(t, agent, Join{File: file, Start: true}, "")
	for _, secret := range []string{parse(t, file).Token, "hidden", "11111111"} {
		if strings.Contains(agent.Out.String()+agent.Notes.String(), secret) {
			t.Errorf("the diff shows %q", secret)
		}
	}
	for _, shown := range []string{"+SPIRE_JOIN_TOKEN=<token>", "-    join_token = \"<token>\"", "would enable and start"} {
		if !strings.Contains(agent.Out.String(), shown) {
			t.Errorf("the diff does not show %q:\n%s", shown, agent.Out)
		}
	}
	if diff := cmp.Diff(before, agent.Snapshot()); diff != "" || len(agent.Systemd.Calls) > 0 {
		t.Errorf("a dry run changes something: %s %v", diff, agent.Systemd.Calls)
	}
}

func TestInvalidConfigurationChangesNothing(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	agent := testbed.New(t)
	agent.Replace(agent.AgentConfig(), `log_level = "INFO"`, `log_level = "LOUD"`)
	before := agent.Snapshot()
	run(t, agent, Join{File: invite(t, home), Start: true}, "spire-agent validate refuses the configuration")
	if diff := cmp.Diff(before, agent.Snapshot()); diff != "" {
		t.Error(diff)
	}
}

func TestTimes(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	file := invite(t, home)
	for name, test := range map[string]struct {
		ahead time.Duration
		words string
	}{
		"expired":            {2 * time.Minute, "the invitation expired"},
		"made in the future": {-time.Hour, "this machine's clock is behind the server's by at least"},
	} {
		t.Run(name, func(t *testing.T) {
			agent := testbed.New(t)
			agent.Now = func() time.Time { return time.Now().Add(test.ahead) }
			run(t, agent, Join{File: file}, test.words)
		})
	}
	t.Run("a clock that the invitation does not give away", func(t *testing.T) {
		long := parse(t, file)
		long.Expires = long.Expires.Add(48 * time.Hour)
		agent := testbed.New(t)
		agent.Now = func() time.Time { return time.Now().Add(26 * time.Hour) }
		run(t, agent, Join{File: "-", Input: bytes.NewReader(long.Marshal())}, "this machine's clock is ahead by at least")
	})
}

func TestInviteRefuses(t *testing.T) {
	testbed.Programs(t)
	home := server(t, "example.org")
	there := filepath.Join(t.TempDir(), "there")
	home.Write(there, 0o644, "mine")
	for name, test := range map[string]struct {
		asked Invite
		words string
	}{
		"a file that is there":  {Invite{Name: "a", TTL: time.Minute, Output: there}, "is there already"},
		"a name that is none":   {Invite{Name: "a b", TTL: time.Minute, Output: "-"}, "path segment characters"},
		"SPIRE's own":           {Invite{Name: "spire/agent/x", TTL: time.Minute, Output: "-"}, "SPIRE keeps"},
		"no time":               {Invite{Name: "a", Output: "-"}, "want one from 1s"},
		"an address with a gap": {Invite{Name: "a", TTL: time.Minute, Address: "a b", Output: "-"}, "no name or address"},
	} {
		t.Run(name, func(t *testing.T) {
			says(t, test.asked.Run(t.Context(), home.Machine), test.words)
		})
	}
	says(t, Invite{Name: "a", TTL: time.Minute, Output: "-"}.Run(t.Context(), testbed.New(t).Machine), "spire-server does not run on this machine")
}

func run(t *testing.T, on *testbed.Bed, join Join, words string) {
	t.Helper()
	on.Out.Reset()
	says(t, join.Run(t.Context(), on.Machine), words)
}

func says(t *testing.T, err error, words string) {
	t.Helper()
	switch {
	case err == nil && words == "":
	case err == nil:
		t.Fatalf("no error, want %q", words)
	case words == "" || !strings.Contains(err.Error(), words):
		t.Fatalf("error %q, want %q", err, words)
	}
}

func refused(t *testing.T, invited invitation.Invitation, words string) {
	t.Helper()
	agent := testbed.New(t)
	before := agent.Snapshot()
	run(t, agent, Join{File: "-", Input: bytes.NewReader(invited.Marshal()), Start: true}, words)
	if diff := cmp.Diff(before, agent.Snapshot()); diff != "" || len(agent.Systemd.Calls) > 0 {
		t.Errorf("a refusal changes something: %s %v", diff, agent.Systemd.Calls)
	}
}

func parse(t *testing.T, file string) invitation.Invitation {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	invited, err := invitation.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return invited
}

func address(t *testing.T, of *testbed.Bed) string {
	t.Helper()
	file, err := of.ServerConfiguration()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + file.Value("server", "bind_port").Text
}

func noToken(t *testing.T, on *testbed.Bed, token string) {
	t.Helper()
	for path, text := range on.Snapshot() {
		if strings.Contains(text, token) {
			t.Errorf("%s has the token", path)
		}
	}
	if strings.Contains(on.Out.String()+on.Notes.String(), token) {
		t.Error("the token was shown")
	}
}

// register gives this test's user the identity of web below an agent.
func register(t *testing.T, on *testbed.Bed, parent string) {
	t.Helper()
	server, err := on.Server()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	_, _, err = server.AddEntry(t.Context(), registration.Entry{
		SPIFFEID:  "spiffe://example.org/web",
		ParentID:  "spiffe://example.org/" + parent,
		Selectors: []registration.Selector{{Type: "unix", Value: fmt.Sprintf("uid:%d", os.Getuid())}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func fetched(t *testing.T, on *testbed.Bed, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	svid, err := workloadapi.FetchX509SVID(ctx, workloadapi.WithAddr("unix://"+on.AgentSocketPath()))
	if err != nil {
		// An entry takes some seconds to reach the agent, which says no until then.
		time.Sleep(6 * time.Second)
		svid, err = workloadapi.FetchX509SVID(ctx, workloadapi.WithAddr("unix://"+on.AgentSocketPath()))
	}
	if err != nil {
		t.Fatal(err)
	}
	if svid.ID.String() != want {
		t.Errorf("got %s, want %s", svid.ID, want)
	}
}
