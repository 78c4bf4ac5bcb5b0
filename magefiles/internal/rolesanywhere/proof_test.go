package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const program = "spiffe://example.org/backup"

var today = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// identity is a certificate of an authority's, with its key.
type identity struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issued is an identity by an authority; none makes an authority.
func issued(t *testing.T, by *identity, id string) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := url.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), URIs: []*url.URL{uri}, NotBefore: today.Add(-time.Hour), NotAfter: today.Add(time.Hour), BasicConstraintsValid: true, IsCA: by == nil}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{certificate, key}
}

// ask is a request of the identity's, signed by a key.
func ask(t *testing.T, who *identity, key *ecdsa.PrivateKey) *http.Request {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+host+"/sessions?roleArn=a%3Arole%2Fb+c", strings.NewReader(`{"durationSeconds":3600}`))
	date := today.Format(dateForm)
	request.Header.Set("X-Amz-Date", date)
	request.Header.Set("X-Amz-X509", base64.StdEncoding.EncodeToString(who.certificate.Raw))
	scope := "20261130/eu-central-1/rolesanywhere/aws4_request"
	// As AWS's documentation has it, by hand.
	text := "POST\n/sessions\nroleArn=a%3Arole%2Fb%20c\ncontent-length:24\nhost:" + host + "\nx-amz-date:" + date + "\nx-amz-x509:" + request.Header.Get("X-Amz-X509") +
		"\n\ncontent-length;host;x-amz-date;x-amz-x509\n" + digest(`{"durationSeconds":3600}`)
	sum := sha256.Sum256([]byte(algorithm + "\n" + date + "\n" + scope + "\n" + digest(text)))
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", algorithm+" Credential=7/"+scope+", SignedHeaders=content-length;host;x-amz-date;x-amz-x509, Signature="+hex.EncodeToString(signature))
	return request
}

func TestMay(t *testing.T) {
	authority, stranger := issued(t, nil, "spiffe://example.org"), issued(t, nil, "spiffe://example.org")
	anchor := x509.NewCertPool()
	anchor.AddCert(authority.certificate)
	role := role{anchor, program}
	good, other, foreign := issued(t, authority, program), issued(t, authority, program+"/b"), issued(t, stranger, program)
	for name, c := range map[string]struct {
		who    *identity
		key    *ecdsa.PrivateKey
		change func(*http.Request)
		want   string
	}{
		"who it is for":       {good, good.key, nil, ""},
		"another identity":    {other, other.key, nil, "names somebody else"},
		"another authority":   {foreign, foreign.key, nil, "the trust anchor"},
		"without the key":     {good, other.key, nil, "not the certificate's key's"},
		"another role":        {good, good.key, func(r *http.Request) { r.URL.RawQuery = "roleArn=x" }, "not the certificate's key's"},
		"an old one":          {good, good.key, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261130T110000Z") }, "X-Amz-Date"},
		"another certificate": {good, good.key, func(r *http.Request) { r.Header.Set("X-Amz-X509", "") }, "X-Amz-X509"},
		"without a signature": {good, good.key, func(r *http.Request) { r.Header.Del("Authorization") }, "Authorization"},
		"another question":    {good, good.key, func(r *http.Request) { r.URL.Path = "/" }, "not known"},
	} {
		t.Run(name, func(t *testing.T) {
			request := ask(t, c.who, c.key)
			if c.change != nil {
				c.change(request)
			}
			err := role.may(request, today)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
