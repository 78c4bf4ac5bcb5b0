package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/agentstate"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/entry"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
	"github.com/spiffe-experimental/spire-config/internal/workload"
)

// TestMain lets the test's own program be the child that asks as another user.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == workload.Command {
		if err := workload.Write(context.Background(), os.Args[2], os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// whole is a machine with a server and an agent that work.
func whole(t *testing.T) *testbed.Bed {
	t.Helper()
	testbed.Programs(t)
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: the doctor looks as root only")
	}
	bed := testbed.New(t)
	must(t, os.Chmod(bed.Path("/"), 0o755))
	must(t, setup.Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}.Run(t.Context(), bed.Machine))
	file := filepath.Join(t.TempDir(), "invitation")
	must(t, enroll.Invite{Name: "host", TTL: time.Minute, Output: file}.Run(t.Context(), bed.Machine))
	must(t, enroll.Join{File: file, Start: true}.Run(t.Context(), bed.Machine))
	return bed
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func examined(t *testing.T, m machine.Machine, as string) Report {
	t.Helper()
	report, err := Examine(t.Context(), m, as)
	must(t, err)
	return report
}

func TestHealthy(t *testing.T) {
	bed := whole(t)
	report := examined(t, bed.Machine, "")
	if !report.Healthy {
		t.Errorf("%+v", report.Findings)
	}
	var text bytes.Buffer
	report.Write(&text)
	for _, words := range []string{"healthy\n", "well: the server at 127.0.0.1:", "well: the agent is spiffe://prod.test/spire/agent/join_token/"} {
		if !strings.Contains(text.String(), words) {
			t.Errorf("it does not say %q:\n%s", words, text.String())
		}
	}
}

// faults are those that are planted, one after the other, in a machine that works. The
// words are parts of what the doctor has to say: where, what is wrong, why, and the
// command that mends it.
var faults = []struct {
	name                   string
	plant                  func(*testing.T, *testbed.Bed)
	where, what, why, mend string
}{
	{"the agent does not run", func(t *testing.T, b *testbed.Bed) { must(t, b.Systemd.Do(t.Context(), "stop", layout.AgentUnit)) },
		layout.AgentUnit, "it does not run", "it was not started, or stopped", "systemctl enable --now spire-agent.service"},
	{"the server does not run", func(t *testing.T, b *testbed.Bed) { must(t, b.Systemd.Do(t.Context(), "stop", layout.ServerUnit)) },
		layout.ServerUnit, "it does not run", "it was not started, or stopped", "systemctl enable --now spire-server.service"},
	{"the server elsewhere does not run", func(t *testing.T, b *testbed.Bed) { must(t, b.Systemd.Do(t.Context(), "stop", layout.ServerUnit)) },
		"127.0.0.1:", "the server does not answer", "connection refused", "systemctl status spire-server"},
	{"not enabled", func(_ *testing.T, b *testbed.Bed) { b.Systemd.Enabled[layout.AgentUnit] = false },
		layout.AgentUnit, "will not come back after a reboot", "it is not enabled", "systemctl enable spire-agent.service"},
	{"a name that nobody knows", func(_ *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), `server_address = "127.0.0.1"`, `server_address = "nowhere.invalid"`)
	}, "nowhere.invalid", "the name of the server is not known", "SPIRE asks /etc/hosts and DNS", "/etc/hosts"},
	{"a wrong port", func(_ *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), "server_port = \"", "server_port = \"1\" # ")
	}, "127.0.0.1:1", "the server does not answer", "connection refused", "bind_address"},
	{"another trust domain", func(_ *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), `trust_domain = "prod.test"`, `trust_domain = "other.test"`)
	}, "127.0.0.1:", "of another trust domain", "it shows spiffe://prod.test/spire/server, expected is spiffe://other.test/spire/server", "trust_domain in"},
	{"another server there", func(t *testing.T, b *testbed.Bed) {
		ca := testbed.NewCA(t, "prod.test")
		point(b, testbed.Serve(t, ca.SVID("spiffe://prod.test/spire/server", time.Now().Add(-time.Hour), time.Now().Add(time.Hour)), false))
	}, "127.0.0.1:", "does not chain to the agent's trust bundle", "unknown authority", "spire-config invite"},
	{"no SPIRE there", func(t *testing.T, b *testbed.Bed) { point(b, testbed.ServePlain(t)) },
		"127.0.0.1:", "is no SPIRE server", "", "server_port"},
	{"a clock that is ahead", func(_ *testing.T, b *testbed.Bed) {
		b.Now = func() time.Time { return time.Now().Add(90 * time.Minute) }
	}, "127.0.0.1:", "the clock of this machine", "this machine's clock is ahead by at least", "timedatectl set-ntp true"},
	{"an SVID that has expired", func(_ *testing.T, b *testbed.Bed) {
		b.Now = func() time.Time { return time.Now().Add(90 * time.Minute) }
	}, "/var/lib/spire/agent", "the agent's SVID has expired", "the agent was off for longer than agent_ttl", "spire-config invite"},
	{"an SVID that is not renewed", func(_ *testing.T, b *testbed.Bed) {
		b.Now = func() time.Time { return time.Now().Add(55 * time.Minute) }
	}, "/var/lib/spire/agent", "the agent's SVID is not renewed", "is renewed at half of its life", "journalctl -u spire-agent.service"},
	{"state that is no more", func(t *testing.T, b *testbed.Bed) { must(t, change.MoveAway(b.AgentState("")+"/agent-data.json")) },
		"/var/lib/spire/agent", "the agent has no identity", "it has not attested, or the server has forgotten it", "spire-config invite"},
	{"state that is damaged", func(_ *testing.T, b *testbed.Bed) { b.Write(b.AgentState("")+"/agent-data.json", 0o600, "{") },
		"/var/lib/spire/agent", "state cannot be read", "unexpected end of JSON input", "systemctl stop spire-agent"},
	{"a plugin without its drop-in", func(_ *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), `WorkloadAttestor "unix"`, `WorkloadAttestor "docker"`)
	}, "agent.conf:", "the drop-in docker.conf is not installed", "validate does not see it", "install -D"},
	{"a socket that is gone", func(t *testing.T, b *testbed.Bed) { must(t, os.Remove(b.AgentSocketPath())) },
		"/run/spire/agent/public/api.sock", "the agent is active and does not answer", "nothing answers there", "systemctl restart spire-agent.service"},
	{"a token that is used", func(t *testing.T, b *testbed.Bed) {
		must(t, change.MoveAway(b.AgentState("")+"/agent-data.json"))
		b.Write(b.AgentEnv(), 0o600, "SPIRE_JOIN_TOKEN=e9a4ab26-1d8c-4a4d-8f6b-0123456789ab\n")
		fails(t, b, layout.AgentUnit)
	}, "journal of spire-agent.service", "the join token was used already", "has already been used", "spire-config invite NAME (on the server)"},
	{"a configuration that is not valid", func(t *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), "log_level = ", "log_levl = ")
		fails(t, b, layout.AgentUnit)
	}, "journal of spire-agent.service", "the configuration is not valid", "", "spire-config check"},
	{"a variable that is not set", func(_ *testing.T, b *testbed.Bed) {
		b.Replace(b.AgentConfig(), `log_level = "INFO"`, `log_level = "${LEVEL}"`)
	}, "agent.conf:", "${LEVEL} is not set", "validate does not see it", "set LEVEL=... in"},
	{"secrets for everybody", func(_ *testing.T, b *testbed.Bed) { b.Write(b.AgentEnv(), 0o644, "A=b\n") },
		"agent.env:1", "the file for secrets has mode 0644", "validate does not see it", "chmod 0600 "},
	{"a port that another has", func(t *testing.T, b *testbed.Bed) {
		must(t, b.Systemd.Do(t.Context(), "stop", layout.ServerUnit))
		file, err := b.ServerConfiguration()
		must(t, err)
		listener, err := net.Listen("tcp", "127.0.0.1:"+file.Value("server", "bind_port").Text)
		must(t, err)
		t.Cleanup(func() { _ = listener.Close() })
	}, "server.conf:", "another program listens on 127.0.0.1:", "validate does not see it", "ss -ltnp"},
}

// fails starts a service anew, which does not get ready.
func fails(t *testing.T, b *testbed.Bed, unit string) {
	t.Helper()
	// An agent that is refused tries again.
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := b.Systemd.Do(ctx, "restart", unit); err == nil {
		t.Fatalf("%s starts", unit)
	}
}

func TestFaults(t *testing.T) {
	bed := whole(t)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			restored(t, bed)
			fault.plant(t, bed)
			report := examined(t, bed.Machine, "")
			for _, finding := range report.Findings {
				if strings.Contains(finding.Where, fault.where) && strings.Contains(finding.What, fault.what) &&
					strings.Contains(finding.Why, fault.why) && strings.Contains(finding.Mend, fault.mend) {
					return
				}
			}
			t.Errorf("nothing says %s: %s: why: %s: mend: %s:\n%+v", fault.where, fault.what, fault.why, fault.mend, report.Findings)
		})
	}
}

// point lets the agent's configuration name another server.
func point(b *testbed.Bed, address string) {
	b.Replace(b.AgentConfig(), "server_port = \"", fmt.Sprintf("server_port = \"%s\" # ", address[strings.LastIndex(address, ":")+1:]))
}

// restored takes a fault away when its test has ended.
func restored(t *testing.T, b *testbed.Bed) {
	t.Helper()
	config, now, state := b.Read(b.AgentConfig()), b.Now, stateOf(b)
	t.Cleanup(func() {
		ctx := context.Background()
		b.Write(b.AgentConfig(), 0o644, config)
		if err := os.Remove(b.AgentEnv()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if !maps.Equal(state, stateOf(b)) {
			must(t, b.Systemd.Do(ctx, "stop", layout.AgentUnit))
			for path, text := range state {
				b.Write(path, 0o600, text)
			}
		}
		b.Now = now
		for _, s := range []struct{ unit, socket string }{{layout.ServerUnit, b.ServerSocketPath()}, {layout.AgentUnit, b.AgentSocketPath()}} {
			b.Systemd.Enabled[s.unit] = true
			if _, err := os.Stat(s.socket); err != nil || !b.Active(ctx, s.unit) {
				must(t, b.Systemd.Do(ctx, "restart", s.unit))
			}
		}
	})
}

// stateOf has the agent's files.
func stateOf(b *testbed.Bed) map[string]string {
	state := map[string]string{}
	for _, path := range agentstate.Files(b.AgentState("")) {
		state[path] = b.Read(path)
	}
	return state
}

func TestAs(t *testing.T) {
	bed := whole(t)
	for _, step := range []struct {
		name  string
		entry *entry.Add
		why   string
		mend  string
	}{
		{"no entry", nil, "no entry fits: as the agent sees it, it is unix:uid:1, unix:user:daemon, unix:gid:1, unix:group:daemon", "spire-config entry add NAME --user daemon --parent host"},
		{"one for another user", &entry.Add{Name: "web", User: "www-data"}, "spiffe://prod.test/web wants unix:user:www-data, which is missing", "--parent host"},
		{"one for another agent", &entry.Add{Name: "daemon", User: "daemon", Parent: "elsewhere"}, "fits, but is for another agent: its parent is spiffe://prod.test/elsewhere, and this agent is spiffe://prod.test/host", "--parent host"},
	} {
		if step.entry != nil {
			must(t, step.entry.Run(t.Context(), bed.Machine))
		}
		report := examined(t, bed.Machine, "daemon")
		last := report.Findings[len(report.Findings)-1]
		if !strings.HasPrefix(last.What, "no identity issued") || !strings.Contains(last.Why, step.why) || !strings.Contains(last.Mend, step.mend) {
			t.Errorf("%s: %+v", step.name, last)
		}
	}
	must(t, entry.Add{Name: "daemon", User: "daemon"}.Run(t.Context(), bed.Machine))
	for range 15 {
		report := examined(t, bed.Machine, "daemon")
		if len(report.Identities) == 1 && report.Identities[0] == "spiffe://prod.test/daemon" {
			return
		}
		if last := report.Findings[len(report.Findings)-1]; last.What != "no identity issued yet" {
			t.Fatalf("with an entry: %+v", last)
		}
		time.Sleep(time.Second)
	}
	t.Error("the identity does not come")
}

func TestNotSetUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: the doctor looks as root only")
	}
	bed := testbed.New(t)
	mends := map[string]string{}
	for _, finding := range examined(t, bed.Machine, "").Findings {
		mends[finding.Where] = finding.Mend
	}
	if got := mends[layout.ServerUnit]; got != "spire-config server init --trust-domain YOURS --start" {
		t.Errorf("the server: %q", got)
	}
	if got := mends[layout.AgentUnit]; got != inviteAgain {
		t.Errorf("the agent: %q", got)
	}
	bed.Replace(bed.AgentConfig(), `"example.org"`, `"prod.test"`)
	for _, finding := range examined(t, bed.Machine, "").Findings {
		if finding.Where == layout.ServerUnit {
			t.Errorf("a server that nobody wants: %+v", finding)
		}
	}
}

func TestBlind(t *testing.T) {
	empty := machine.Machine{Root: layout.Root(t.TempDir()), Systemd: &testbed.Systemd{}, Now: time.Now}
	if _, err := Examine(t.Context(), empty, ""); !errors.Is(err, ErrBlind) {
		t.Error(err)
	}
}
