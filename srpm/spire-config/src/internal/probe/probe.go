// Package probe looks at a SPIRE server from outside, as an agent would: which
// certificate does it show, and does a trust bundle vouch for it.
package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// A Server is one that is to be looked at.
type Server struct {
	Address     string
	TrustDomain spiffeid.TrustDomain
	Bundle      []*x509.Certificate
	// Now is this machine's time; in tests another.
	Now time.Time
}

// An UnreachableError is about the way to the server.
type UnreachableError struct {
	Address string
	Err     error
}

func (e UnreachableError) Error() string {
	return fmt.Sprintf("the server at %s does not answer: %v: is it running, is bind_address in its server.conf open to this machine, does a firewall stand between?", e.Address, e.Err)
}

func (e UnreachableError) Unwrap() error { return e.Err }

// A StrangerError is about something that answers and is no SPIRE server.
type StrangerError struct {
	Address string
	Err     error
}

func (e StrangerError) Error() string {
	return fmt.Sprintf("what answers at %s is no SPIRE server: %v: check address and port", e.Address, e.Err)
}

func (e StrangerError) Unwrap() error { return e.Err }

// A TrustDomainError is about a server that is another's.
type TrustDomainError struct {
	Address   string
	Want, Got string
}

func (e TrustDomainError) Error() string {
	return fmt.Sprintf("the server at %s is of another trust domain: it shows %s, expected is %s: check the address", e.Address, e.Got, e.Want)
}

// An UntrustedError is about a certificate that the trust bundle does not vouch for.
type UntrustedError struct {
	Address string
	Err     error
}

func (e UntrustedError) Error() string {
	return fmt.Sprintf("the certificate of the server at %s does not chain to the trust bundle: somebody stands between (a man in the middle, or a proxy that ends TLS), or the server has a new CA: %v", e.Address, e.Err)
}

func (e UntrustedError) Unwrap() error { return e.Err }

// A ClockError is about a certificate that would be right at another time.
type ClockError struct {
	Address             string
	NotBefore, NotAfter time.Time
	Now                 time.Time
}

func (e ClockError) Error() string {
	words := fmt.Sprintf("is not valid before %s: this machine's clock is behind by at least %s", stamp(e.NotBefore), e.NotBefore.Sub(e.Now).Round(time.Second))
	if e.Now.After(e.NotAfter) {
		words = fmt.Sprintf("ended at %s: this machine's clock is ahead by at least %s", stamp(e.NotAfter), e.Now.Sub(e.NotAfter).Round(time.Second))
	}
	return fmt.Sprintf("the certificate of the server at %s chains to the trust bundle, but %s (here it is %s), or the server's clock is off: set the clock (timedatectl)", e.Address, words, stamp(e.Now))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Look does a TLS handshake with the server and returns the certificate that it showed.
// The error is one of this package's types.
func Look(ctx context.Context, server Server) (*x509.Certificate, error) {
	shown, err := server.shown(ctx)
	if err != nil {
		return nil, err
	}
	return shown[0], server.verify(shown)
}

const patience = 10 * time.Second

// shown returns the certificates of the server, whoever that is.
func (s Server) shown(ctx context.Context) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return nil, UnreachableError{s.Address, err}
	}
	defer func() { _ = conn.Close() }()
	var raw [][]byte
	err = tls.Client(conn, capture(&raw)).HandshakeContext(ctx)
	// The server may end the handshake because we show no certificate: by then it has
	// shown its own.
	if len(raw) == 0 {
		return nil, StrangerError{s.Address, err}
	}
	return s.parse(raw)
}

func capture(raw *[][]byte) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		// SVIDs name no host. What was shown is verified afterwards, where the reasons
		// can be told apart; nothing is sent before.
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(certificates [][]byte, _ [][]*x509.Certificate) error {
			*raw = certificates
			return nil
		},
	}
}

func (s Server) parse(raw [][]byte) ([]*x509.Certificate, error) {
	var shown []*x509.Certificate
	for _, one := range raw {
		certificate, err := x509.ParseCertificate(one)
		if err != nil {
			return nil, StrangerError{s.Address, err}
		}
		shown = append(shown, certificate)
	}
	return shown, nil
}

func (s Server) verify(shown []*x509.Certificate) error {
	leaf := shown[0]
	id, err := x509svid.IDFromCert(leaf)
	if err != nil {
		return StrangerError{s.Address, err}
	}
	if want := s.id(); id.TrustDomain() != s.TrustDomain {
		return TrustDomainError{s.Address, want.String(), id.String()}
	}
	if err := s.chain(shown, s.Now); err != nil {
		// The same at a time when the certificate is valid: then it is the clock.
		between := leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) / 2)
		if s.chain(shown, between) == nil && (s.Now.Before(leaf.NotBefore) || s.Now.After(leaf.NotAfter)) {
			return ClockError{s.Address, leaf.NotBefore, leaf.NotAfter, s.Now}
		}
		return UntrustedError{s.Address, err}
	}
	if id != s.id() {
		return StrangerError{s.Address, fmt.Errorf("it shows %s, a server is %s", id, s.id())}
	}
	return nil
}

func (s Server) id() spiffeid.ID {
	return spiffeid.RequireFromPath(s.TrustDomain, "/spire/server")
}

func (s Server) chain(shown []*x509.Certificate, now time.Time) error {
	bundle := x509bundle.FromX509Authorities(s.TrustDomain, s.Bundle)
	_, _, err := x509svid.Verify(shown, bundle, x509svid.WithTime(now))
	return err
}
