// Package invitation has the form of the file by which a server invites one agent: where
// the server is, how the agent knows it, and how it knows the agent.
package invitation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/bundle"
)

// form is the one that this program writes and reads.
const form = 1

// The reasons not to take a file, each of which wants another thing done.
var (
	ErrForeign  = errors.New("it is no invitation: make one with spire-config invite on the server")
	ErrNewer    = errors.New("it is of a newer form than this spire-config knows: upgrade the package spire-config here")
	ErrChecksum = errors.New("checksum mismatch: it was cut off or changed on the way: bring it here again, whole")
)

// An Invitation is for one agent and works once.
type Invitation struct {
	TrustDomain spiffeid.TrustDomain
	// Address is the server's HOST:PORT.
	Address string
	// Alias is the name that entries for workloads of this agent may have as parent.
	Alias   spiffeid.ID
	Created time.Time
	Expires time.Time
	Token   string
	Bundle  []*x509.Certificate
}

const heading = `# An invitation for one SPIRE agent. It holds a join token: keep it secret.
# On the agent's machine: spire-config agent join FILE
`

// Marshal writes the invitation as a file.
func (i Invitation) Marshal() []byte {
	var text bytes.Buffer
	for _, field := range []struct{ name, value string }{
		{"spire-invitation", strconv.Itoa(form)},
		{"trust-domain", i.TrustDomain.Name()},
		{"server", i.Address},
		{"alias", i.Alias.String()},
		{"created", i.Created.UTC().Format(time.RFC3339)},
		{"expires", i.Expires.UTC().Format(time.RFC3339)},
		{"join-token", i.Token},
	} {
		fmt.Fprintf(&text, "%s: %s\n", field.name, field.value)
	}
	text.Write(bundle.PEM(i.Bundle))
	sum := checksum(strings.Split(text.String(), "\n"))
	return fmt.Appendf([]byte(heading), "%schecksum: %s\n", text.String(), sum)
}

// checksum is over the lines without what a paste or YAML's indentation may change.
func checksum(lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			text.WriteString(line + "\n")
		}
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text.String())))
}

// Parse reads an invitation. It says nothing about whether it is still valid.
func Parse(text []byte) (Invitation, error) {
	lines := strings.Split(string(text), "\n")
	fields := fieldsOf(lines)
	switch version, err := strconv.Atoi(fields["spire-invitation"]); {
	case err != nil || version < 1:
		return Invitation{}, ErrForeign
	case version > form:
		return Invitation{}, ErrNewer
	}
	signed, ok := covered(lines, fields["checksum"])
	if !ok {
		return Invitation{}, ErrChecksum
	}
	return read(fieldsOf(signed), strings.Join(trimmed(signed), "\n"))
}

// covered returns the lines before the checksum, if it is theirs and the last thing in
// the file.
func covered(lines []string, sum string) ([]string, bool) {
	lines = trimmed(lines)
	for i, line := range lines {
		if strings.HasPrefix(line, "checksum:") {
			rest := strings.Join(lines[i+1:], "")
			return lines[:i], rest == "" && checksum(lines[:i]) == sum
		}
	}
	return nil, false
}

func trimmed(lines []string) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = strings.TrimSpace(line)
	}
	return all
}

func fieldsOf(lines []string) map[string]string {
	fields := map[string]string{}
	for _, line := range trimmed(lines) {
		if name, value, ok := strings.Cut(line, ": "); ok && line[0] != '#' {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

func read(fields map[string]string, text string) (Invitation, error) {
	var i Invitation
	var errs [6]error
	i.TrustDomain, errs[0] = spiffeid.TrustDomainFromString(fields["trust-domain"])
	i.Alias, errs[1] = spiffeid.FromString(fields["alias"])
	i.Created, errs[2] = time.Parse(time.RFC3339, fields["created"])
	i.Expires, errs[3] = time.Parse(time.RFC3339, fields["expires"])
	i.Bundle, errs[4] = bundle.Parse([]byte(text))
	i.Address, i.Token = fields["server"], fields["join-token"]
	errs[5] = i.sound()
	if err := errors.Join(errs[:]...); err != nil {
		return Invitation{}, fmt.Errorf("%w (%w)", ErrForeign, err)
	}
	return i, nil
}

// sound looks at what ends up in a configuration and in a file that systemd reads.
func (i Invitation) sound() error {
	host, port, err := net.SplitHostPort(i.Address)
	if err != nil {
		return err
	}
	if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
		return fmt.Errorf("%q is no port", port)
	}
	if err := Host(host); err != nil {
		return err
	}
	if i.Token == "" || strings.Trim(i.Token, tokenLetters) != "" {
		return errors.New("the join token has characters that none has")
	}
	if !i.Alias.MemberOf(i.TrustDomain) {
		return fmt.Errorf("the alias %s is not of the trust domain %s", i.Alias, i.TrustDomain)
	}
	return nil
}

const (
	letters      = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	tokenLetters = letters + "-_."
	// With those of addresses of IPv6, and of their zones.
	hostLetters = letters + "-_.:%"
)

// Host says whether a name or address may stand in a configuration.
func Host(host string) error {
	if host == "" || strings.Trim(host, hostLetters) != "" {
		return fmt.Errorf("%q is no name or address of a host", host)
	}
	return nil
}

// An ExpiredError tells when an invitation ended.
type ExpiredError struct{ Expires, Now time.Time }

func (e ExpiredError) Error() string {
	return fmt.Sprintf("the invitation expired %s ago, at %s: make a new one with spire-config invite on the server (if that is wrong, this machine's clock is: it says %s)",
		e.Now.Sub(e.Expires).Round(time.Second), stamp(e.Expires), stamp(e.Now))
}

// A ClockError tells of an invitation that was made in the future.
type ClockError struct{ Created, Now time.Time }

func (e ClockError) Error() string {
	return fmt.Sprintf("this machine's clock is behind the server's by at least %s: the invitation was made at %s, and here it is %s: set the clock (timedatectl)",
		e.Created.Sub(e.Now).Round(time.Second), stamp(e.Created), stamp(e.Now))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// tolerance is how far two clocks may be apart without a word.
const tolerance = 30 * time.Second

// ValidAt says whether the invitation's token still works, by a machine's clock.
func (i Invitation) ValidAt(now time.Time) error {
	if now.Before(i.Created.Add(-tolerance)) {
		return ClockError{i.Created, now}
	}
	if !now.Before(i.Expires) {
		return ExpiredError{i.Expires, now}
	}
	return nil
}
