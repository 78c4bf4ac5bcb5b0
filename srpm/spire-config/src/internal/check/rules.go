package check

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
)

// rules are all that a file is looked at by.
var rules = []func(subject) []Finding{
	emptyVariables,
	openEnvironment,
	leftToken,
	openSecrets,
	closedFiles,
	missingDropIns,
	missingCredentials,
	externalPlugins,
	exampleTrustDomain,
	unknownKeys,
	lifetimes,
	takenPort,
	insecureBootstrap,
	unverifiedDatabase,
}

const joinAgain = "spire-config invite NAME (on the server), then spire-config agent join FILE --start"

func emptyVariables(s subject) []Finding {
	var all []Finding
	for _, variable := range s.Variables {
		switch {
		case variable.Set:
		case variable.Name == layout.TokenVariable && s.attested:
			// Used, and taken away.
		case variable.Name == layout.TokenVariable:
			all = append(all, s.found(variable.Line, Error, joinAgain, "the join token ${%s} is empty and the agent has not attested yet", variable.Name))
		default:
			all = append(all, s.found(variable.Line, Error, fmt.Sprintf("set %s=... in %s, mode 0600", variable.Name, s.env), "${%s} is not set, which makes it the empty string", variable.Name))
		}
	}
	return all
}

func openEnvironment(s subject) []Finding {
	info, err := os.Stat(s.env)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	severity := Warning
	if info.Mode().Perm()&0o007 != 0 {
		severity = Error
	}
	return []Finding{{s.env, 1, severity, fmt.Sprintf("the file for secrets has mode %04o", info.Mode().Perm()), "chmod 0600 " + s.env}}
}

func leftToken(s subject) []Finding {
	if s.attested && s.envVars[layout.TokenVariable] != "" {
		return []Finding{{s.env, 1, Warning, "a join token is left here, though the agent has attested", "delete the line " + layout.TokenVariable + "="}}
	}
	return nil
}

// secretName are the names of values that name a file with a private key.
var secretName = regexp.MustCompile(`(^|_)(private_key|key|keys|host_key|client_key|key_file)(_path|_file_path)$|^key_file$`)

func openSecrets(s subject) []Finding {
	var all []Finding
	for _, value := range s.Values() {
		if !secretName.MatchString(value.Name) || !strings.HasPrefix(value.Text, "/") {
			continue
		}
		path := s.inState(value.Text)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
			all = append(all, s.found(value.Line, Error, "chmod o= "+path, "the private key %s is open to everybody (mode %04o)", path, info.Mode().Perm()))
		}
	}
	return all
}

// inState is where a file of the service's state is on the disk.
func (s subject) inState(path string) string {
	dataDir := s.Value(s.block, "data_dir").Text
	state := s.ServerState(dataDir)
	if s.block == "agent" {
		state = s.AgentState(dataDir)
	}
	if rest, ok := strings.CutPrefix(path, dataDir+"/"); ok && dataDir != "" {
		return state + "/" + rest
	}
	return path
}

func closedFiles(s subject) []Finding {
	if s.block == "" {
		return nil
	}
	var all []Finding
	for _, value := range s.Files() {
		if credential.MatchString(value.Text) {
			continue
		}
		if value.Name == "trust_bundle_path" && s.attested {
			// It goes by the bundle in its state.
			continue
		}
		all = append(all, s.closed(value.Name, s.inState(value.Text), value.Line)...)
	}
	return all
}

func (s subject) closed(name, path string, line int) []Finding {
	switch err := s.readable(path); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist) && name == "trust_bundle_path":
		return []Finding{s.found(line, Error, s.bundling(path), "the trust bundle %s is not there", path)}
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{s.found(line, Error, "put it there, or mend the path", "%s names %s, which is not there", name, path)}
	default:
		return []Finding{s.found(line, Error, s.opening(name, path), "%s names %s, which the service's user %s cannot read: %v", name, path, s.user.Name, err)}
	}
}

// bundling is how the agent gets a trust bundle.
func (s subject) bundling(path string) string {
	if _, ok := s.Plugin("NodeAttestor", "join_token"); ok {
		return joinAgain
	}
	return fmt.Sprintf("spire-server bundle show (on the server) > %s", path)
}

func (s subject) opening(name, path string) string {
	if secretName.MatchString(name) {
		return fmt.Sprintf("LoadCredential= in a drop-in, and ${CREDENTIALS_DIRECTORY}/ in the path (see %s)", layout.Example(s.unit, ""))
	}
	return "chmod a+r " + path
}

// readable says whether the service's user may read a file, by the modes of it and of
// the folders above.
func (s subject) readable(path string) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	if s.user == nil || s.user.UID == 0 {
		return nil
	}
	for folder := path; folder != "/" && folder != "."; {
		wanted := uint32(0o4)
		if folder != path {
			wanted = 0o1
		}
		if err := s.allowed(folder, wanted); err != nil {
			return err
		}
		cut := strings.LastIndexByte(folder, '/')
		folder = folder[:max(cut, 0)]
		if folder == "" {
			folder = "/"
		}
	}
	return nil
}

func (s subject) allowed(path string, wanted uint32) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	granted := owner.Mode & 0o7
	switch {
	case owner.Uid == s.user.UID:
		granted = owner.Mode >> 6 & 0o7
	case s.user.In(owner.Gid):
		granted = owner.Mode >> 3 & 0o7
	}
	if granted&wanted == 0 {
		return fmt.Errorf("%s has mode %04o and owner %d:%d", path, info.Mode().Perm(), owner.Uid, owner.Gid)
	}
	return nil
}

// homes are the folders that the units hide from their services.
var homes = regexp.MustCompile(`^/(home|root|tmp|var/tmp)/`)

func externalPlugins(s subject) []Finding {
	var all []Finding
	for _, plugin := range s.Plugins() {
		if plugin.Command.Text == "" {
			continue
		}
		if plugin.Checksum.Text == "" {
			all = append(all, s.found(plugin.Command.Line, Warning, fmt.Sprintf("plugin_checksum = \"...\", by sha256sum %s", plugin.Command.Text), "the plugin %s %q has no plugin_checksum: who can replace its program is the %s", plugin.Type, plugin.Name, s.block))
		}
		if homes.MatchString(plugin.Command.Text) {
			all = append(all, s.found(plugin.Command.Line, Error, "move it to /usr/local/libexec", "the unit does not see %s", plugin.Command.Text))
		}
	}
	return all
}

func exampleTrustDomain(s subject) []Finding {
	value := s.Value(s.block, "trust_domain")
	if value.Text != "example.org" && value.Text != "example.com" {
		return nil
	}
	mend := "spire-config server init --trust-domain YOURS, before the first start"
	if s.block == "agent" {
		mend = joinAgain
	}
	return []Finding{s.found(value.Line, Warning, mend, "the trust domain is still the example's, %s", value.Text)}
}

func unknownKeys(s subject) []Finding {
	var all []Finding
	for _, plugin := range s.Plugins() {
		known, ok := pluginKeys[s.block+" "+plugin.Type+" "+plugin.Name]
		if !ok || plugin.Command.Text != "" {
			continue
		}
		keys := plugin.Keys()
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if !slices.Contains(known, strings.ToLower(key)) {
				all = append(all, s.found(keys[key], Warning, meant(key, known), "the plugin %s %q knows no %s in its plugin_data, and may ignore it", plugin.Type, plugin.Name, key))
			}
		}
	}
	return all
}

// meant suggests the name that is nearest.
func meant(key string, known []string) string {
	best, nearest := "", len(key)/2+1
	for _, name := range known {
		if d := distance(strings.ToLower(key), name); d < nearest {
			best, nearest = name, d
		}
	}
	if best == "" {
		return "delete the line"
	}
	return "did you mean " + best + "?"
}

// distance is how many letters must change to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// SPIRE makes a new CA when a sixth of the old one's life is left, but never sooner than
// seven days before its end; what is issued until then must not outlive it.
const (
	rotations   = 6
	longest     = 7 * 24 * time.Hour
	defaultCA   = 24 * time.Hour
	defaultX509 = time.Hour
)

func lifetimes(s subject) []Finding {
	if s.block != "server" {
		return nil
	}
	ca, _, err := s.duration("ca_ttl", defaultCA)
	if err != nil {
		// validate sees that.
		return nil
	}
	var all []Finding
	for _, name := range []string{"default_x509_svid_ttl", "default_jwt_svid_ttl", "agent_ttl"} {
		ttl, line, err := s.duration(name, 0)
		if most := min(ca/rotations, longest); err == nil && ttl > most {
			all = append(all, s.found(line, Warning, advice(name, ttl, most), "%s is too high for ca_ttl (%s): SVIDs with shorter lifetimes may be issued", name, ca))
		}
	}
	if most := min(ca/rotations, longest); defaultX509 > most && !s.Has("server", "default_x509_svid_ttl") {
		all = append(all, s.found(s.Line("server", "ca_ttl"), Warning, advice("default_x509_svid_ttl", defaultX509, most), "ca_ttl (%s) is too low for the default_x509_svid_ttl of %s: SVIDs with shorter lifetimes may be issued", ca, defaultX509))
	}
	return all
}

func advice(name string, ttl, most time.Duration) string {
	if ttl > longest {
		return fmt.Sprintf("set %s to %s or less, and ca_ttl to %s or more", name, longest, rotations*longest)
	}
	return fmt.Sprintf("set %s to %s or less, or ca_ttl to %s or more", name, most, rotations*ttl)
}

func (s subject) duration(name string, otherwise time.Duration) (time.Duration, int, error) {
	value := s.Value("server", name)
	if value.Text == "" {
		return otherwise, value.Line, nil
	}
	duration, err := time.ParseDuration(value.Text)
	return duration, value.Line, err
}

func takenPort(s subject) []Finding {
	port := s.Value("server", "bind_port")
	if s.block != "server" || port.Text == "" || serverapi.Healthy(s.context, s.ServerSocketPath()) == nil {
		// Where the server itself listens, it is its own.
		return nil
	}
	address := net.JoinHostPort(s.Value("server", "bind_address").Text, port.Text)
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		_ = listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		return []Finding{s.found(port.Line, Error, "ss -ltnp says which; end it, or set another bind_port", "another program listens on %s already", address)}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return []Finding{s.found(s.Line("server", "bind_address"), Error, `bind_address = "0.0.0.0", or an address that ip address shows`, "this machine does not have the address of %s", address)}
	}
	return nil
}

func insecureBootstrap(s subject) []Finding {
	value := s.Value("agent", "insecure_bootstrap")
	if value.Text != "true" {
		return nil
	}
	return []Finding{s.found(value.Line, Warning, joinAgain, "insecure_bootstrap lets the agent trust whoever answers at its first start")}
}

func unverifiedDatabase(s subject) []Finding {
	plugin, _ := s.Plugin("DataStore", "sql")
	var all []Finding
	for _, address := range datastore.Configured(plugin.Text) {
		if err := address.Verify(); address.Shared() && err != nil {
			all = append(all, s.found(plugin.Line, Error, "spire-config server init --postgres FILE (or --mysql), with --database-ca FILE", "%v", err))
		}
	}
	return all
}

// together are findings about server and agent of one machine.
func together(m machine.Machine) []Finding {
	server, err := m.ServerConfiguration()
	if err != nil || server == nil {
		return nil
	}
	agent, err := m.AgentConfiguration()
	if err != nil || agent == nil {
		return nil
	}
	ours, theirs := agent.Value("agent", "trust_domain"), server.Value("server", "trust_domain")
	ip := net.ParseIP(agent.Value("agent", "server_address").Text)
	if ip == nil || !ip.IsLoopback() || ours.Text == theirs.Text {
		return nil
	}
	return []Finding{{agent.Path, ours.Line, Error, fmt.Sprintf("the agent is of %s, and the server of this machine, which it connects to, of %s", ours.Text, theirs.Text), joinAgain}}
}
