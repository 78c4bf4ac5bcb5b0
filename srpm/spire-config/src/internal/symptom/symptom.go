// Package symptom translates lines of SPIRE's log into what is wrong, and what to do.
package symptom

import (
	"regexp"
	"strings"
)

// A Symptom is a cause of trouble that a line of the log gives away.
type Symptom struct {
	// Line is the line itself.
	Line  string
	Cause string
	// Mend is a command, or where there is none what to do.
	Mend string
}

type rule struct {
	pattern     *regexp.Regexp
	cause, mend string
}

// The order matters: the first rule that fits a line is its explanation, so what is
// special comes before what is general. Causes are words of SPIRE, as far as it has one.
var rules = []rule{
	{regexp.MustCompile(`join token does not exist or has already been used`),
		"the join token was used already, or is of another server", "spire-config invite NAME (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`join token expired`),
		"the join token expired before the agent used it", "spire-config invite NAME --ttl 1h (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`join token was not provided|no join token|missing join token`),
		"the agent has no join token, and no identity of its own to go by", "spire-config invite NAME (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`agent is banned`),
		"the server has banned this agent", "spire-server agent evict -spiffeID ID (on the server), then a new invitation"},
	{regexp.MustCompile(`requested hostname is not allowed to connect`),
		"the server admits no machine of this name", "spire-config server attestor http-challenge --hosts EXPRESSION --start (on the server)"},
	{regexp.MustCompile(`attestation data has already been used`),
		"the server has attested this machine before, and does so once", "spire-server agent evict -spiffeID ID (on the server)"},
	{regexp.MustCompile(`AGENT_NOT_ATTESTED|is not attested|Agent needs to re-attest|must reattest|SVID is not active`),
		"the server does not know this agent any more: evicted, or off for longer than agent_ttl", "spire-config invite NAME (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`certificate has expired or is not yet valid|certificate is not yet valid`),
		"a certificate is not valid now: the clock of this machine or of the server is off, or the trust bundle is old", "timedatectl status, then spire-config doctor"},
	{regexp.MustCompile(`could not verify leaf certificate|certificate signed by unknown authority|unable to verify`),
		"the server's certificate does not chain to the trust bundle that the agent has: another server, a man in the middle, or an old bundle", "spire-config invite NAME (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`unexpected ID|unexpected SPIFFE ID|unexpected trust domain`),
		"the server is of another trust domain", "check trust_domain and server_address in /etc/spire/agent/agent.conf"},
	{regexp.MustCompile(`no identity issued`),
		"no registration entry fits the program that asked", "spire-config doctor --as USER"},
	{regexp.MustCompile(`database is locked`),
		"another program has the server's SQLite database open", "fuser -v /var/lib/spire/server/+default/datastore.sqlite3"},
	{regexp.MustCompile(`database disk image is malformed|file is not a database`),
		"the server's SQLite database is damaged", "restore a backup of /var/lib/spire/server"},
	{regexp.MustCompile(`no space left on device|database or disk is full`),
		"the disk is full", "df -h /var/lib/spire /var/log"},
	{regexp.MustCompile(`address already in use`),
		"another program has the port already", "ss -ltnp"},
	{regexp.MustCompile(`no such host|name resolver error|A record lookup error|produced zero addresses|server misbehaving`),
		"the name of a host is not known here: SPIRE asks /etc/hosts and DNS, and nothing else", "getent hosts NAME, and look at /etc/hosts and /etc/resolv.conf"},
	{regexp.MustCompile(`connection refused`),
		"nothing listens at that address and port", "systemctl status spire-server (on the server), and bind_address in its server.conf"},
	{regexp.MustCompile(`i/o timeout|context deadline exceeded|no route to host|network is unreachable`),
		"the other end does not answer: a firewall, or a wrong address", "firewall-cmd --add-port=8081/tcp, or nft list ruleset (on the server)"},
	{regexp.MustCompile(`(?i)trust bundle.*(no such file|not found)|bootstrap\.crt: no such file`),
		"the agent has no trust bundle to know its server by", "spire-config invite NAME (on the server), then spire-config agent join FILE --start"},
	{regexp.MustCompile(`read-only file system`),
		"a path in the configuration lies where the unit's sandbox lets nothing be written", "ReadWritePaths= in a drop-in, or a path below /var/lib/spire: see SANDBOX in man spire-agent"},
	{regexp.MustCompile(`permission denied|operation not permitted`),
		"a file or device is closed to the service's user", "spire-config check"},
	{regexp.MustCompile(`configuration file is invalid|unable to decode configuration|Unknown configuration detected|unknown configuration`),
		"the configuration is not valid", "spire-config check"},
	{regexp.MustCompile(`failed to configure plugin|unable to configure plugin|Failed to configure`),
		"a plugin refuses its plugin_data", "spire-config check"},
	{regexp.MustCompile(`(?i)password authentication failed|access denied for user`),
		"the database refuses the server's password", "check connection_string and /etc/spire/server/server.env"},
	{regexp.MustCompile(`no such file or directory`),
		"a file that the configuration names is not there", "spire-config check"},
}

// Explain returns the symptoms of a log, each cause once, the newest first.
func Explain(lines []string) []Symptom {
	var found []Symptom
	seen := map[string]bool{}
	for i := len(lines) - 1; i >= 0; i-- {
		symptom, ok := explain(lines[i])
		if ok && !seen[symptom.Cause] {
			seen[symptom.Cause] = true
			found = append(found, symptom)
		}
	}
	return found
}

// severe are the lines that tell of trouble; others may quote its words.
var severe = regexp.MustCompile(`level=(error|fatal|warning)|(?i)"level":"(error|fatal|warning)"|^[^ ]*[^=]*$|invalid`)

func explain(line string) (Symptom, bool) {
	if !severe.MatchString(line) {
		return Symptom{}, false
	}
	for _, rule := range rules {
		if rule.pattern.MatchString(line) {
			return Symptom{strings.TrimSpace(line), rule.cause, rule.mend}, true
		}
	}
	return Symptom{}, false
}

// Since drops the lines before the last word that the service was ready: what was wrong
// then is mended.
func Since(lines []string) []string {
	for i := len(lines) - 1; i >= 0; i-- {
		if ready.MatchString(lines[i]) {
			return lines[i+1:]
		}
	}
	return lines
}

var ready = regexp.MustCompile(`^Started |msg="?(SVID loaded|Node attestation was successful|Starting Server APIs|Starting Workload and SDS APIs)`)
