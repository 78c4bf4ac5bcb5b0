package check

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
)

// pluginKeys are the names that plugins of SPIRE 1.12 to 1.14 read from plugin_data.
var pluginKeys = map[string][]string{
	"agent NodeAttestor join_token":      {},
	"agent NodeAttestor x509pop":         {"private_key_path", "certificate_path", "intermediates_path"},
	"agent NodeAttestor sshpop":          {"host_key_path", "host_cert_path"},
	"agent NodeAttestor tpm_devid":       {"devid_priv_path", "devid_pub_path", "devid_cert_path", "devid_password", "owner_hierarchy_password", "endorsement_hierarchy_password", "tpm_device_path"},
	"agent NodeAttestor http_challenge":  {"hostname", "agentname", "port", "advertised_port"},
	"agent KeyManager disk":              {"directory"},
	"agent KeyManager memory":            {},
	"agent WorkloadAttestor unix":        {"discover_workload_path", "workload_size_limit"},
	"agent WorkloadAttestor systemd":     {},
	"agent WorkloadAttestor docker":      {"docker_socket_path", "docker_version", "container_id_cgroup_matchers", "use_new_container_locator", "verbose_container_locator_logs", "experimental"},
	"server NodeAttestor join_token":     {},
	"server NodeAttestor x509pop":        {"mode", "spiffe_prefix", "ca_bundle_path", "ca_bundle_paths", "agent_path_template", "max_intermediates", "max_rsa_key_size"},
	"server NodeAttestor sshpop":         {"cert_authorities", "cert_authorities_path", "canonical_domain", "agent_path_template"},
	"server NodeAttestor tpm_devid":      {"devid_ca_path", "endorsement_ca_path"},
	"server NodeAttestor http_challenge": {"allowed_dns_patterns", "required_port", "allow_non_root_ports", "tofu", "agent_path_template"},
	"server KeyManager disk":             {"keys_path"},
	"server KeyManager memory":           {},
	"server DataStore sql":               {"database_type", "connection_string", "ro_connection_string", "root_ca_path", "client_cert_path", "client_key_path", "conn_max_lifetime", "max_open_conns", "max_idle_conns", "disable_migration", "log_sql", "aws_mysql", "aws_postgres"},
	"server UpstreamAuthority disk":      {"cert_file_path", "key_file_path", "bundle_file_path"},
	"server UpstreamAuthority spire":     {"server_address", "server_port", "workload_api_socket", "experimental"},
}

// A need is something that the unit's sandbox does not allow without a drop-in.
type need struct {
	// of tells where the configuration asks for it: 0 is nowhere.
	of     func(subject) int
	what   string
	dropIn string
	// granted is the line of a drop-in that allows it.
	granted *regexp.Regexp
}

var needs = []need{
	{pluginValue("WorkloadAttestor", "unix", "discover_workload_path", "true"), "discover_workload_path", "unix-discover-path.conf", setting("AmbientCapabilities", "CAP_SYS_PTRACE")},
	{dockerSocket, "WorkloadAttestor \"docker\"", "docker.conf", setting("SupplementaryGroups", "docker")},
	{podmanSocket, "WorkloadAttestor \"docker\" with podman", "podman.conf", setting("(Wants|After|Requires)", "podman.socket")},
	{plugin("NodeAttestor", "tpm_devid", "agent"), "NodeAttestor \"tpm_devid\"", "tpm.conf", setting("DeviceAllow", "(/dev/tpm|char-tpm)")},
	{challengePort, "NodeAttestor \"http_challenge\" on a port below 1024", "http-challenge.conf", setting("AmbientCapabilities", "CAP_NET_BIND_SERVICE")},
	{sshKey, "NodeAttestor \"sshpop\"", "sshpop.conf", setting("LoadCredential(Encrypted)?", "")},
	{below("agent", "admin_socket_path", "/run/spire/agent/private/"), "admin_socket_path", "admin-socket.conf", setting("RuntimeDirectory", "spire/agent/private")},
	{below("agent", "log_file", "/var/log/"), "log_file", "log-file.conf", setting("(LogsDirectory|ReadWritePaths)", "")},
	{below("server", "log_file", "/var/log/"), "log_file", "log-file.conf", setting("(LogsDirectory|ReadWritePaths)", "")},
	{lowPort, "a bind_port below 1024", "privileged-port.conf", setting("AmbientCapabilities", "CAP_NET_BIND_SERVICE")},
}

func setting(name, value string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\s*` + name + `=.*` + value)
}

func pluginValue(kind, name, key, wanted string) func(subject) int {
	return func(s subject) int {
		plugin, ok := s.Plugin(kind, name)
		if value := plugin.Value(key); ok && value.Text == wanted {
			return value.Line
		}
		return 0
	}
}

func plugin(kind, name, block string) func(subject) int {
	return func(s subject) int {
		found, ok := s.Plugin(kind, name)
		if !ok || s.block != block || found.Command.Text != "" {
			return 0
		}
		return found.Line
	}
}

func below(block, name, folder string) func(subject) int {
	return func(s subject) int {
		value := s.Value(block, name)
		if s.block == block && strings.HasPrefix(value.Text, folder) {
			return value.Line
		}
		return 0
	}
}

func dockerSocket(s subject) int {
	found, ok := s.Plugin("WorkloadAttestor", "docker")
	socket := found.Value("docker_socket_path")
	if ok && (socket.Text == "" || strings.HasSuffix(socket.Text, "/run/docker.sock")) {
		return max(socket.Line, found.Line)
	}
	return 0
}

func podmanSocket(s subject) int {
	found, ok := s.Plugin("WorkloadAttestor", "docker")
	if socket := found.Value("docker_socket_path"); ok && strings.HasSuffix(socket.Text, "/run/podman/podman.sock") {
		return socket.Line
	}
	return 0
}

func lowPort(s subject) int {
	value := s.Value("server", "bind_port")
	if port, err := strconv.Atoi(value.Text); err == nil && port < 1024 {
		return value.Line
	}
	return 0
}

// challengePort is where the agent itself listens.
func challengePort(s subject) int {
	found, ok := s.Plugin("NodeAttestor", "http_challenge")
	value := found.Value("port")
	if port, err := strconv.Atoi(value.Text); ok && s.block == "agent" && err == nil && port < 1024 {
		return value.Line
	}
	return 0
}

// sshKey is where sshpop reads the host's key itself, which is root's.
func sshKey(s subject) int {
	found, ok := s.Plugin("NodeAttestor", "sshpop")
	key := found.Value("host_key_path")
	if !ok || s.block != "agent" || credential.MatchString(key.Text) {
		return 0
	}
	return max(key.Line, found.Line)
}

func missingDropIns(s subject) []Finding {
	var all []Finding
	for _, need := range needs {
		if line := need.of(s); line > 0 && !need.granted.MatchString(s.dropIns) {
			all = append(all, s.found(line, Error, install(s.unit, need.dropIn), "%s needs more than the unit's sandbox allows, and the drop-in %s is not installed", need.what, need.dropIn))
		}
	}
	return all
}

func install(unit, dropIn string) string {
	return fmt.Sprintf("install -D -m 0644 -t /etc/systemd/system/%s.d %s && systemctl daemon-reload && systemctl restart %s", unit, layout.Example(unit, dropIn), unit)
}

// credential is a file that systemd hands over, as config.Read writes it.
var credential = regexp.MustCompile(`^` + config.Credentials + `/(.+)$`)

// handed are the drop-ins that hand over a plugin's files.
var handed = map[string]string{"x509pop": "x509pop.conf", "sshpop": "sshpop.conf", "k8s": "kubelet.conf"}

func missingCredentials(s subject) []Finding {
	var all []Finding
	seen := map[string]bool{}
	for _, value := range s.Values() {
		found := credential.FindStringSubmatch(value.Text)
		if found == nil || seen[found[1]] {
			continue
		}
		seen[found[1]] = true
		if name := path.Base(found[1]); !setting("LoadCredential(Encrypted)?", regexp.QuoteMeta(name)+"(:|$)").MatchString(s.dropIns) {
			all = append(all, s.found(value.Line, Error, install(s.unit, s.handing()), "%s names the credential %s, which no drop-in hands over", value.Name, name))
		}
	}
	return all
}

func (s subject) handing() string {
	for _, plugin := range s.Plugins() {
		if dropIn, ok := handed[plugin.Name]; ok && s.block == "agent" {
			return dropIn
		}
	}
	if s.block == "agent" {
		return "x509pop.conf"
	}
	return "root-only-keys.conf"
}
