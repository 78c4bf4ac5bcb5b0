package symptom

import (
	"strings"
	"testing"
)

// The lines are SPIRE's own, of the versions 1.12 to 1.14.
func TestExplain(t *testing.T) {
	for line, cause := range map[string]string{
		`time="2026-11-30T00:00:00Z" level=error msg="Agent crashed" error="failed to receive attestation response: rpc error: code = InvalidArgument desc = failed to attest: join token does not exist or has already been used"`: "was used already",
		`time="…" level=error msg="x" error="rpc error: code = InvalidArgument desc = join token expired"`:                                                                                                                          "expired before",
		`time="…" level=error msg="x" error="rpc error: code = PermissionDenied desc = failed to attest: agent is banned"`:                                                                                                          "has banned this agent",
		`time="…" level=error msg="Agent crashed" error="… code = PermissionDenied desc = nodeattestor(http_challenge): the requested hostname is not allowed to connect"`:                                                          "admits no machine of this name",
		`time="…" level=error msg="Agent crashed" error="… code = PermissionDenied desc = nodeattestor(sshpop): attestation data has already been used to attest an agent"`:                                                         "has attested this machine before",
		`time="…" level=error msg="Agent needs to re-attest: removing SVID and shutting down" error="… is not attested"`:                                                                                                            "does not know this agent any more",
		`time="…" level=warning msg="…" error="… tls: failed to verify certificate: x509svid: could not verify leaf certificate: x509: certificate signed by unknown authority"`:                                                    "does not chain to the trust bundle",
		`time="…" level=warning msg="…" error="x509svid: could not verify leaf certificate: x509: certificate has expired or is not yet valid: current time … is after …"`:                                                          "is not valid now",
		`time="…" level=error msg="…" error="connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:8081: connect: connection refused\""`:                                                                    "nothing listens",
		`time="…" level=error msg="…" error="name resolver error: produced zero addresses"`:                                                                                                                                         "is not known here",
		`time="…" level=error msg="…" error="lookup spire.example.org: no such host"`:                                                                                                                                               "is not known here",
		`time="…" level=error msg="Agent crashed" error="… dns: A record lookup error: lookup localhost on 10.255.255.53:53: dial udp 10.255.255.53:53: connect: network is unreachable"`:                                           "is not known here",
		`time="…" level=error msg="…" error="open /etc/x.key: permission denied"`:                                                                                                                                                   "closed to the service's user",
		`time="…" level=error msg="…" error="datastore-sql: database is locked"`:                                                                                                                                                    "has the server's SQLite database open",
		`time="…" level=error msg="…" error="listen tcp 127.0.0.1:8081: bind: address already in use"`:                                                                                                                              "has the port already",
		`time="…" level=error msg="…" error="write x: no space left on device"`:                                                                                                                                                     "the disk is full",
		`time="…" level=error msg="no identity issued" method=FetchX509SVID pid=7`:                                                                                                                                                  "no registration entry fits",
		`SPIRE agent configuration file is invalid: server_address must be configured`:                                                                                                                                              "is not valid",
		`time="…" level=error msg="…" error="open /x: read-only file system"`:                                                                                                                                                       "sandbox lets nothing be written",
		`{"error":"lookup x: no such host","level":"error","msg":"Agent crashed","time":"…"}`:                                                                                                                                       "is not known here",
	} {
		found := Explain([]string{line})
		if len(found) != 1 || !strings.Contains(found[0].Cause, cause) || found[0].Mend == "" {
			t.Errorf("%s:\n%+v, want %q", line, found, cause)
		}
	}
}

func TestExplainIsSilent(t *testing.T) {
	for _, line := range []string{"", `time="…" level=info msg="retrying after connection refused"`, `time="…" level=error msg="something new"`} {
		if found := Explain([]string{line}); len(found) > 0 {
			t.Errorf("%s: %+v", line, found)
		}
	}
}

func TestEachCauseOnceNewestFirst(t *testing.T) {
	found := Explain([]string{`level=error error="connection refused" a`, `level=error error="no such host"`, `level=error error="connection refused" b`})
	if len(found) != 2 || !strings.HasSuffix(found[0].Line, "b") {
		t.Errorf("%+v", found)
	}
}

func TestSince(t *testing.T) {
	lines := []string{`level=error error="connection refused"`, `level=info msg="Starting Workload and SDS APIs" address=x`, "after"}
	if got := Since(lines); len(got) != 1 || got[0] != "after" {
		t.Errorf("%q", got)
	}
	if got := Since(lines[:1]); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
