package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// A CA is one of a trust domain that no server has.
type CA struct {
	Root *x509.Certificate
	key  *ecdsa.PrivateKey
	t    *testing.T
}

// NewCA makes the CA of a trust domain, valid for some days around now.
func NewCA(t *testing.T, td string) *CA {
	t.Helper()
	ca := &CA{key: newKey(t), t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), URIs: []*url.URL{{Scheme: "spiffe", Host: td}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.Root = ca.sign(template, template, &ca.key.PublicKey)
	return ca
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (ca *CA) sign(template, parent *x509.Certificate, key *ecdsa.PublicKey) *x509.Certificate {
	ca.t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, key, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		ca.t.Fatal(err)
	}
	return certificate
}

// SVID makes a certificate for a SPIFFE ID, or for none, and its key.
func (ca *CA) SVID(id string, from, until time.Time) tls.Certificate {
	ca.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature}
	if id != "" {
		uri, err := url.Parse(id)
		if err != nil {
			ca.t.Fatal(err)
		}
		template.URIs = []*url.URL{uri}
	}
	key := newKey(ca.t)
	leaf := ca.sign(template, ca.Root, &key.PublicKey)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

// Serve shows a certificate to whoever connects, and returns the address. With demand it
// ends the handshake with who shows none.
func Serve(t *testing.T, certificate tls.Certificate, demand bool) string {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}
	if demand {
		config.ClientAuth = tls.RequireAnyClientCert
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return answering(t, listener, func(conn net.Conn) { _ = conn.(*tls.Conn).Handshake() })
}

// answering does something with each connection, and gives the address.
func answering(t *testing.T, listener net.Listener, do func(net.Conn)) string {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				do(conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// ServePlain answers without TLS.
func ServePlain(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return answering(t, listener, func(conn net.Conn) { _, _ = conn.Write([]byte("SSH-2.0-OpenSSH\r\n")) })
}
