// Package enroll brings agents to a server: it makes invitations, and takes them.
package enroll

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/probe"
)

// Invite is what is asked of an invitation.
type Invite struct {
	Name string
	TTL  time.Duration
	// Address is where the agent reaches the server; "" takes the server's own.
	Address string
	// Output is a file that is not there yet, or - for the standard output.
	Output string
}

// Run makes an invitation, and a token of the server's with it.
func (i Invite) Run(ctx context.Context, m machine.Machine) error {
	if err := i.sound(); err != nil {
		return err
	}
	server, err := m.Server()
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	td, bundle, err := server.Bundle(ctx)
	if err != nil {
		return err
	}
	alias, err := ID(td, i.Name)
	if err != nil {
		return err
	}
	address, err := i.address(m)
	if err != nil {
		return err
	}
	made := invitation.Invitation{TrustDomain: td, Address: address, Alias: alias, Bundle: bundle, Created: m.Now()}
	if m.DryRun {
		m.Say("would make a join token for %s, valid for %s, and write the invitation to %s", alias, i.TTL, i.file())
		return nil
	}
	i.warn(ctx, m, made)
	i.outlives(m, bundle)
	return i.write(m, func() (invitation.Invitation, error) {
		made.Token, made.Expires, err = server.JoinToken(ctx, alias, i.TTL)
		return made, err
	})
}

func (i Invite) sound() error {
	if i.TTL < time.Second || i.TTL > 30*24*time.Hour {
		return fmt.Errorf("a ttl of %s: want one from 1s to 720h", i.TTL)
	}
	if i.Address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(i.Address)
	if err != nil {
		host = i.Address
	}
	return invitation.Host(host)
}

// ID is the SPIFFE ID of that name in a trust domain.
func ID(td spiffeid.TrustDomain, name string) (spiffeid.ID, error) {
	id, err := spiffeid.FromPath(td, "/"+name)
	if err != nil {
		return id, fmt.Errorf("name %q: it becomes %s/%s: %w", name, td.IDString(), name, err)
	}
	if name == "spire" || strings.HasPrefix(name, "spire/") {
		return id, fmt.Errorf("name %q: SPIRE keeps %s/spire for itself", name, td.IDString())
	}
	return id, nil
}

func (i Invite) file() string {
	if i.Output != "" {
		return i.Output
	}
	return strings.ReplaceAll(i.Name, "/", "-") + ".invitation"
}

// address is HOST:PORT of the server, as the agent shall find it.
func (i Invite) address(m machine.Machine) (string, error) {
	file, err := m.ServerConfiguration()
	if err != nil {
		return "", err
	}
	host, port := "", "8081"
	if file != nil {
		host = file.Value("server", "bind_address").Text
		if configured := file.Value("server", "bind_port").Text; configured != "" {
			port = configured
		}
	}
	if i.Address != "" {
		return withPort(i.Address, port), nil
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", fmt.Errorf("finding this machine's name: %w: give --address", err)
		}
	}
	return net.JoinHostPort(host, port), nil
}

func withPort(address, port string) string {
	if host, own, err := net.SplitHostPort(address); err == nil {
		return net.JoinHostPort(host, own)
	}
	return net.JoinHostPort(address, port)
}

// warn tries the address of the invitation, from here. From there it may be another
// matter, so that this refuses nothing.
func (i Invite) warn(ctx context.Context, m machine.Machine, made invitation.Invitation) {
	host, _, _ := net.SplitHostPort(made.Address)
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		m.Note("warning: %s is this machine alone: an agent elsewhere cannot use this invitation: give --address HOST, and let the server listen there by spire-config server init --address HOST", made.Address)
	}
	_, err := probe.Look(ctx, probe.Server{Address: made.Address, TrustDomain: made.TrustDomain, Bundle: made.Bundle, Now: m.Now()})
	if err != nil {
		m.Note("warning: seen from here: %v", err)
	}
}

// outlives tells of a token that is of use for longer than the trust bundle beside it.
func (i Invite) outlives(m machine.Machine, roots []*x509.Certificate) {
	var last time.Time
	for _, root := range roots {
		if root.NotAfter.After(last) {
			last = root.NotAfter
		}
	}
	if m.Now().Add(i.TTL).After(last) {
		m.Note("warning: the trust bundle in it ends at %s, before its join token: nobody can take it then", last.UTC().Format(time.RFC3339))
	}
}

// write makes the file before the token, so that no token is made for nothing.
func (i Invite) write(m machine.Machine, make func() (invitation.Invitation, error)) error {
	if i.Output == "-" {
		made, err := make()
		if err != nil {
			return err
		}
		_, err = m.Out.Write(made.Marshal())
		return err
	}
	file, err := os.OpenFile(i.file(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: give another name by --output, or delete it", i.file())
	}
	if err != nil {
		return fmt.Errorf("writing the invitation: %w", err)
	}
	made, err := make()
	if err == nil {
		_, err = file.Write(made.Marshal())
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(i.file()))
	}
	i.tell(m, made)
	return nil
}

func (i Invite) tell(m machine.Machine, made invitation.Invitation) {
	m.Say("wrote %s: it works once, until %s", i.file(), made.Expires.UTC().Format(time.RFC3339))
	m.Say("bring it to the agent's machine by a way that nobody can read or change, such as:")
	m.Say("  ssh root@HOST spire-config agent join - --start < %s && rm %s", i.file(), i.file())
	m.Say("the parent of its workloads' entries is %s", made.Alias)
}
