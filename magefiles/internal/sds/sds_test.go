package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const example = "../../../packages/spire-agent/examples/envoy-sds/envoy.yaml"

// What the tests ask for is what the example says.
func TestExample(t *testing.T) {
	content, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(content)
	want := wants{"web", "web", "/run/spire/agent/public/api.sock", "spiffe://example.org/web", "spiffe://example.org"}
	if err != nil || got != want {
		t.Errorf("%+v, want %+v, error %v", got, want, err)
	}
	for name, change := range map[string]string{
		"name: spire_agent": "name: other", "pipe: {": "pipe2: {", "tls_certificate_sds_secret_configs": "x", "name: spiffe://example.org\n": "x: y\n",
	} {
		if got, err := parse([]byte(strings.Replace(string(content), name, change, 1))); err == nil {
			t.Errorf("%s for %s was taken: %+v", change, name, got)
		}
	}
}

// identity is a certificate for a SPIFFE ID, signed by itself, and its key.
func identity(t *testing.T, id string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), URIs: []*url.URL{uri}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// data is a DataSource.
func data(content []byte) []byte { return field(nil, 2, content) }

// agent answers at a socket, with a message for each name, or with a refusal.
func agent(t *testing.T, secrets map[string][]byte) (config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sds") // short: it is a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	plain := new(http.Protocols)
	plain.SetUnencryptedHTTP2(true)
	server := http.Server{Protocols: plain, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var head [5]byte
		_, _ = io.ReadFull(r.Body, head[:])
		message := make([]byte, head[4])
		_, _ = io.ReadFull(r.Body, message)
		secret, known := secrets[string(one(message, 3))]
		if !known || r.URL.Path != method || string(one(message, 4)) != secretType {
			w.Header().Set("Grpc-Status", "7")
			w.Header().Set("Grpc-Message", "no identity issued")
			return
		}
		resource := field(field(nil, 1, []byte(secretType)), 2, secret)
		_ = send(w, field(nil, 2, resource))
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	content, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(dir, "envoy.yaml")
	changed := strings.Replace(string(content), "/run/spire/agent/public", dir, 1)
	if err := os.WriteFile(config, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestAsk(t *testing.T) {
	certificate, key := identity(t, "spiffe://example.org/web")
	other, otherKey := identity(t, "spiffe://example.org/web")
	own := func(key []byte) []byte {
		return field(field(nil, 1, []byte("spiffe://example.org/web")), 2, field(field(nil, 1, data(certificate)), 2, data(key)))
	}
	plain := func(roots []byte) []byte {
		return field(field(nil, 1, []byte("spiffe://example.org")), 4, field(nil, 1, data(roots)))
	}
	domains := field(nil, 1, field(field(nil, 1, []byte("example.org")), 2, data(certificate)))
	validator := field(field(nil, 1, []byte("envoy.tls.cert_validator.spiffe")), 2, field(field(nil, 1, []byte("type")), 2, domains))
	spiffe := field(field(nil, 1, []byte("spiffe://example.org")), 4, field(nil, 12, validator))
	for name, c := range map[string]struct {
		certificate, validation []byte
		want                    string
	}{
		"roots":              {own(key), plain(certificate), ""},
		"trust domains":      {own(key), spiffe, ""},
		"another's key":      {own(otherKey), plain(certificate), "private key does not match"},
		"foreign roots":      {own(key), plain(other), "does not let spiffe://example.org/web in"},
		"no roots":           {own(key), plain(nil), "it has no certificate"},
		"another name":       {own(key), own(key), "not one of that name"},
		"garbage":            {[]byte{0xff}, plain(certificate), "not one of that name"},
		"no identity issued": {nil, nil, "gRPC status 7: no identity issued"},
	} {
		t.Run(name, func(t *testing.T) {
			secrets := map[string][]byte{}
			if c.certificate != nil {
				secrets["spiffe://example.org/web"], secrets["spiffe://example.org"] = c.certificate, c.validation
			}
			ctx, stop := context.WithTimeout(t.Context(), patience)
			defer stop()
			err := run(ctx, []string{agent(t, secrets)})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
