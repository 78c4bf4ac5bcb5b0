package check

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// sound is a machine whose configurations have nothing to be found.
func sound(t *testing.T) *testbed.Bed {
	t.Helper()
	bed := testbed.New(t)
	for _, path := range []string{bed.ServerConfig(), bed.AgentConfig()} {
		bed.Replace(path, `"example.org"`, `"prod.test"`)
	}
	bed.Replace(bed.ServerConfig(), `"8081"`, fmt.Sprintf(`"%d"`, testbed.FreePort(t)))
	bed.Write(bed.AgentEnv(), 0o600, "SPIRE_JOIN_TOKEN=x\n")
	bed.Write(bed.AgentBootstrap(), 0o644, "")
	return bed
}

func TestSound(t *testing.T) {
	bed := sound(t)
	findings, err := Files(t.Context(), bed.Machine, nil)
	if err != nil || len(findings) > 0 {
		t.Errorf("%v, %v", findings, err)
	}
}

func TestPackaged(t *testing.T) {
	findings, err := Files(t.Context(), testbed.New(t).Machine, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, finding := range findings {
		got = append(got, fmt.Sprintf("%s:%d: %s", filepath.Base(finding.File), finding.Line, finding.Severity))
	}
	want := []string{"server.conf:16: warning", "agent.conf:18: warning", "agent.conf:29: error", "agent.conf:37: error"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, findings)
	}
}

// busy is a port that somebody listens on.
func busy(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

const (
	server = "server.conf"
	agent  = "agent.conf"
)

func TestFaults(t *testing.T) {
	port := busy(t)
	for name, test := range map[string]struct {
		file     string
		old, new string
		// want is "severity: words: mend" in part, with where it is.
		line int
		want []string
	}{
		"no HCL":                    {agent, "agent {", "agent [", 16, []string{"error: "}},
		"an empty variable":         {server, "keys.json", "${KEYS}.json", 54, []string{"error: ${KEYS} is not set", "set KEYS=... in"}},
		"a trust domain of nobody":  {agent, `"prod.test"`, `"example.org"`, 18, []string{"warning: the trust domain is still the example's"}},
		"a bundle that is not":      {agent, "bootstrap.crt\"", "other.crt\"", 29, []string{"error: the trust bundle", "is not there", "spire-config invite"}},
		"paths without the drop-in": {agent, "plugin_data {}\n    }\n}\n", "plugin_data {\n discover_workload_path = true\n}\n    }\n}\n", 66, []string{"error: discover_workload_path needs more", "install -D -m 0644 -t /etc/systemd/system/spire-agent.service.d /usr/share/spire-agent/examples/drop-ins/unix-discover-path.conf && systemctl daemon-reload && systemctl restart spire-agent.service"}},
		"docker":                    {agent, `WorkloadAttestor "unix"`, `WorkloadAttestor "docker"`, 64, []string{"error: WorkloadAttestor \"docker\" needs", "docker.conf"}},
		"podman":                    {agent, "WorkloadAttestor \"unix\" {\n        plugin_data {}", "WorkloadAttestor \"docker\" {\nplugin_data { docker_socket_path = \"unix:///run/podman/podman.sock\" }", 65, []string{"error: ", "podman.conf"}},
		"a TPM":                     {agent, `NodeAttestor "join_token"`, `NodeAttestor "tpm_devid"`, 57, []string{"error: NodeAttestor \"tpm_devid\" needs", "tpm.conf"}},
		"a challenge at a low port": {agent, "NodeAttestor \"join_token\" {\n        plugin_data {}", "NodeAttestor \"http_challenge\" {\nplugin_data { port = 80 }", 58, []string{"error: NodeAttestor \"http_challenge\" on a port below 1024 needs", "http-challenge.conf"}},
		"a key of SSH":              {agent, `NodeAttestor "join_token"`, `NodeAttestor "sshpop"`, 57, []string{"error: ", "sshpop.conf"}},
		"a credential of nobody":    {agent, "NodeAttestor \"join_token\" {\n        plugin_data {}", "NodeAttestor \"x509pop\" {\nplugin_data { private_key_path = \"${CREDENTIALS_DIRECTORY}/host.key\" }", 58, []string{"error: private_key_path names the credential host.key", "x509pop.conf"}},
		"an admin socket":           {agent, "    log_level", "    admin_socket_path = \"/run/spire/agent/private/admin.sock\"\n    log_level", 46, []string{"error: admin_socket_path needs", "admin-socket.conf"}},
		"a plugin without checksum": {agent, "NodeAttestor \"join_token\" {", "NodeAttestor \"mine\" {\nplugin_cmd = \"/usr/libexec/mine\"", 58, []string{"warning: the plugin NodeAttestor \"mine\" has no plugin_checksum", "sha256sum /usr/libexec/mine"}},
		"a plugin in a home":        {agent, "NodeAttestor \"join_token\" {", "NodeAttestor \"mine\" {\nplugin_checksum = \"x\"\nplugin_cmd = \"/home/me/mine\"", 59, []string{"error: the unit does not see /home/me/mine"}},
		"a slip of the pen":         {server, "keys_path", "key_path", 54, []string{"warning: the plugin KeyManager \"disk\" knows no key_path", "did you mean keys_path?"}},
		"a key of another world":    {server, "database_type", "something_else", 45, []string{"knows no something_else", "delete the line"}},
		"too long a life":           {server, "# agent_ttl = \"48h\"", "agent_ttl = \"48h\"", 36, []string{"warning: agent_ttl is too high for ca_ttl (24h0m0s)", "set agent_ttl to 4h0m0s or less, or ca_ttl to 288h0m0s or more"}},
		"a much longer life":        {server, "# agent_ttl = \"48h\"", "agent_ttl = \"240h\"", 36, []string{"set agent_ttl to 168h0m0s or less, and ca_ttl to 1008h0m0s or more"}},
		"too short a CA":            {server, "# ca_ttl = \"288h\"", "ca_ttl = \"3h\"", 37, []string{"warning: ca_ttl (3h0m0s) is too low"}},
		"a port that is taken":      {server, "bind_port = \"", "bind_port = \"" + port + "\" # ", 22, []string{"error: another program listens on 127.0.0.1:" + port}},
		"a low port":                {server, "bind_port = \"", "bind_port = \"443\" # ", 22, []string{"error: a bind_port below 1024 needs", "privileged-port.conf"}},
		"an address of another":     {server, "127.0.0.1", "192.0.2.1", 21, []string{"error: this machine does not have the address of 192.0.2.1"}},
		"trust for everybody":       {agent, "log_level", "insecure_bootstrap = true\nlog_level", 46, []string{"warning: insecure_bootstrap"}},
		"a log elsewhere":           {agent, "log_level", "log_file = \"/var/log/spire/agent/a.log\"\nlog_level", 46, []string{"error: log_file needs", "log-file.conf"}},
		"a database of anybody":     {server, "database_type = \"sqlite3\"\n            connection_string = \"", "database_type = \"postgres\"\n            connection_string = \"host=db.prod.test dbname=spire user=spire\" # ", 43, []string{"error: the connection to db.prod.test does not verify its certificate", "server init --postgres"}},
		"a file that is not":        {server, "NodeAttestor \"join_token\" {\n        plugin_data {}", "NodeAttestor \"x509pop\" {\nplugin_data { ca_bundle_path = \"/nowhere/ca.crt\" }", 61, []string{"error: ca_bundle_path names /nowhere/ca.crt, which is not there"}},
	} {
		t.Run(name, func(t *testing.T) {
			bed := sound(t)
			path := filepath.Join(filepath.Dir(bed.ServerConfig()), server)
			if test.file == agent {
				path = bed.AgentConfig()
			}
			bed.Replace(path, test.old, test.new)
			findings, err := Files(t.Context(), bed.Machine, []string{path})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, findings, fmt.Sprintf("%s:%d: ", path, test.line), test.want)
		})
	}
}

func expect(t *testing.T, findings []Finding, where string, want []string) {
	t.Helper()
	for _, finding := range findings {
		text, fits := finding.String(), strings.HasPrefix(finding.String(), where)
		for _, words := range want {
			fits = fits && strings.Contains(text, words)
		}
		if fits {
			return
		}
	}
	t.Errorf("nothing says %s%q:\n%v", where, want, findings)
}

func TestBundleWithoutToken(t *testing.T) {
	bed := sound(t)
	bed.Replace(bed.AgentConfig(), `NodeAttestor "join_token"`, `NodeAttestor "x509pop"`)
	if err := os.Remove(bed.AgentBootstrap()); err != nil {
		t.Fatal(err)
	}
	findings, err := Files(t.Context(), bed.Machine, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, findings, bed.AgentConfig()+":29: ", []string{"spire-server bundle show (on the server) > " + bed.AgentBootstrap()})
}

func TestDropInsMend(t *testing.T) {
	bed := sound(t)
	bed.Replace(bed.AgentConfig(), "plugin_data {}\n    }\n}\n", "plugin_data {\n discover_workload_path = true\n}\n    }\n}\n")
	bed.Write(bed.DropIn(layout.AgentUnit, "unix-discover-path.conf"), 0o644, "[Service]\nAmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH\n")
	if findings, err := Files(t.Context(), bed.Machine, nil); err != nil || len(findings) > 0 {
		t.Errorf("%v, %v", findings, err)
	}
}

// A plugin that is a package tells its units where it is, and its checksum.
func TestPluginPackage(t *testing.T) {
	bed := sound(t)
	bed.Replace(bed.AgentConfig(), "NodeAttestor \"join_token\" {\n        plugin_data {}", "NodeAttestor \"mine\" {\nplugin_cmd = \"${MINE_CMD}\"\nplugin_checksum = \"${MINE_SHA256}\"")
	findings, err := Files(t.Context(), bed.Machine, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, findings, bed.AgentConfig()+":58: ", []string{"error: ${MINE_CMD} is not set"})
	bed.Write(bed.Path("/usr/lib/spire/plugins/agent-mine.env"), 0o644, "MINE_CMD=/usr/libexec/spire/plugins/agent-mine\nMINE_SHA256=ab\n")
	if findings, err := Files(t.Context(), bed.Machine, nil); err != nil || len(findings) > 0 {
		t.Errorf("%v, %v", findings, err)
	}
}

func TestOpenSecrets(t *testing.T) {
	bed := sound(t)
	bed.Write(filepath.Join(bed.ServerState(""), "keys.json"), 0o644, "{}")
	bed.Write(bed.AgentEnv(), 0o644, "SPIRE_JOIN_TOKEN=x\n")
	findings, err := Files(t.Context(), bed.Machine, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, findings, bed.ServerConfig()+":54: ", []string{"error: the private key", "chmod o= "})
	expect(t, findings, bed.AgentEnv()+":1: ", []string{"error: the file for secrets has mode 0644", "chmod 0600"})
}

func TestReadable(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	closed, open := filepath.Join(folder, "closed"), filepath.Join(folder, "open")
	for path, mode := range map[string]os.FileMode{closed: 0o600, open: 0o644} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	s := subject{user: &account.User{UID: 65534, GID: 65534, Name: "nobody"}}
	if os.Getuid() == 65534 {
		t.Skip("this is nobody")
	}
	if err := s.allowed(closed, 4); err == nil || !strings.Contains(err.Error(), "has mode 0600") {
		t.Errorf("a closed file: %v", err)
	}
	if err := s.allowed(open, 4); err != nil {
		t.Errorf("an open file: %v", err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.readable(open); err == nil {
		t.Error("an open file in a closed folder can be read")
	}
}

func TestTogether(t *testing.T) {
	bed := sound(t)
	bed.Replace(bed.AgentConfig(), `"prod.test"`, `"other.test"`)
	findings, err := Files(t.Context(), bed.Machine, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, findings, bed.AgentConfig()+":18: ", []string{"error: the agent is of other.test, and the server of this machine", "of prod.test"})
}

// A drop-in's groups are the service's, too.
func TestGranted(t *testing.T) {
	var got []string
	for _, group := range granted("[Service]\nSupplementaryGroups=daemon nosuchgroup\n# SupplementaryGroups=bin\n  SupplementaryGroups=sys\n") {
		got = append(got, group.Name)
	}
	if diff := cmp.Diff([]string{"daemon", "sys"}, got); diff != "" {
		t.Error(diff)
	}
}
