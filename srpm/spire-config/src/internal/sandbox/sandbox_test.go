package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/golden"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// manager is a systemd with one unit, which keeps what it is asked to start.
type manager struct {
	units   string
	show    map[string]string
	calls   []string
	started string
	fails   error
	// journal is what it says, at one question after the other.
	journal [][]string
}

func (m *manager) Show(context.Context, string, ...string) (map[string]string, error) {
	return m.show, nil
}

func (m *manager) Do(_ context.Context, verb string, units ...string) error {
	m.calls = append(m.calls, verb)
	if verb != "start" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(m.units, units[0]))
	m.started = string(text)
	return errors.Join(err, m.fails)
}

func (m *manager) Journal(_ context.Context, unit string, _ int) ([]string, error) {
	lines := m.journal[0]
	if len(m.journal) > 1 {
		m.journal = m.journal[1:]
	}
	var said []string
	for _, line := range lines {
		said = append(said, strings.NewReplacer("UNIT", unit, "FOLDER", m.units).Replace(line))
	}
	return said, nil
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

const fragment = `# A unit.
[Unit]
Description=SPIRE Server
ConditionPathExists=/nowhere
Requires=postgresql.service

[Service]
Type=notify
User=spire-server
# Secrets.
EnvironmentFile=-/etc/spire/server/server.env
EnvironmentFile=/etc/more.env
ExecStart=/bin/sh -c '\
  [Unit]; \
# not of the command
  exec spire-server %n'
StateDirectory=spire/server/%i
ProtectHome=yes
Environment=PERCENT=%%n
[Install]
WantedBy=multi-user.target
`

// served is a machine with a unit and two drop-ins.
func served(t *testing.T) (layout.Root, *manager) {
	t.Helper()
	root := layout.Root(t.TempDir())
	m := &manager{units: root.Units(), show: map[string]string{
		"LoadState": "loaded", "FragmentPath": write(t, root.Path("/usr/lib/systemd/system/spire-server.service"), fragment),
		"DropInPaths": write(t, root.Path("/usr/lib/systemd/system/spire-server.service.d/state.conf"), "[Unit]\nAfter=x\n") + " " +
			write(t, root.DropIn(layout.ServerUnit, "keys.conf"), "[Service]\nLoadCredential=a.key:/root/a.key\n"),
	}}
	if err := os.MkdirAll(m.units, 0o755); err != nil {
		t.Fatal(err)
	}
	return root, m
}

// TestRun has the unit of a plan with another environment, another drop-in and a new one.
func TestRun(t *testing.T) {
	root, m := served(t)
	m.show["NeedDaemonReload"] = "yes"
	staged := change.Staged{
		"/etc/spire/server/server.env":              "/etc/spire/server/.server.env.1%",
		root.DropIn(layout.ServerUnit, "keys.conf"): write(t, root.Path("/tmp/1"), "[Service]\nLoadCredential=b.key:/root/b.key\n"),
		root.DropIn(layout.ServerUnit, "tpm.conf"):  write(t, root.Path("/tmp/2"), "[Service]\nPrivateDevices=no"),
		root.DropIn(layout.AgentUnit, "tpm.conf"):   "/nowhere",
	}
	s, err := Of(t.Context(), root, m, layout.ServerUnit, staged)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), staged, []string{"/bin/sh", "-c", "echo \"$0\"\n50%", "/run/credentials/a.key"}, []string{"/bin/true"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"daemon-reload", "start"}, m.calls); diff != "" {
		t.Error(diff)
	}
	golden.Check(t, "testdata/check.service", m.started)
	if left, err := os.ReadDir(m.units); err != nil || len(left) > 0 {
		t.Errorf("what is left: %v, %v", left, err)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		journal [][]string
		words   string
		started bool
	}{
		"a command's words": {[][]string{{"Starting UNIT - " + description + "...", "FOLDER/UNIT:7: Unknown key name 'X' in section 'Service', ignoring.", "it is invalid", "UNIT: Failed with result 'exit-code'.",
			"Failed to start " + description + "."}}, "it is invalid", true},
		"words that come late": {[][]string{{}, {"one:"}, {"one:", "two"}}, "one:\ntwo", true},
		"a sandbox that cannot be": {[][]string{{"UNIT: Failed to set up mount namespacing: /srv/x: No such file or directory", "UNIT: Failed at step NAMESPACE spawning /bin/sh: No such file or directory"}},
			"Failed to set up mount namespacing: /srv/x: No such file or directory", false},
		"nothing but the result": {[][]string{{"UNIT: Failed with result 'timeout'."}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			root, m := served(t)
			m.fails, m.journal = errors.New("job failed"), test.journal
			s, err := Of(t.Context(), root, m, layout.ServerUnit, nil)
			if err != nil {
				t.Fatal(err)
			}
			var refusal Refusal
			if err := s.Run(t.Context(), nil, []string{"/bin/false"}); !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			if got := strings.Join(refusal.Words, "\n"); got != test.words || refusal.Started != test.started || !errors.Is(refusal, m.fails) {
				t.Errorf("%q, %t, %v", got, refusal.Started, refusal)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	root, m := served(t)
	m.show["LoadState"] = "masked"
	if _, err := Of(t.Context(), root, m, layout.ServerUnit, nil); !errors.Is(err, systemd.ErrAbsent) {
		t.Errorf("a masked unit: %v", err)
	}
	m.show["LoadState"] = "loaded"
	if err := os.Remove(m.units); err != nil {
		t.Fatal(err)
	}
	if _, err := Of(t.Context(), root, m, layout.ServerUnit, nil); !errors.Is(err, systemd.ErrAbsent) {
		t.Errorf("without systemd: %v", err)
	}
}
