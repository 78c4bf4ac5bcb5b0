package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"time"
)

// The signature of AWS's requests by certificates:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
const (
	algorithm = "AWS4-X509-ECDSA-SHA256"
	dateForm  = "20060102T150405Z"
)

// longest is how large a request may be, and oldest how old.
const (
	longest = 1 << 20
	oldest  = 5 * time.Minute
)

// may says why who asks is not given the role.
func (r role) may(request *http.Request, now time.Time) error {
	if request.Method != http.MethodPost || request.URL.Path != "/sessions" {
		return fmt.Errorf("%s %s is not known", request.Method, request.URL.Path)
	}
	certificate, err := shown(request.Header)
	if err != nil {
		return err
	}
	// Any use: AWS asks for a digital signature alone.
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: r.anchor, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return fmt.Errorf("the trust anchor: %w", err)
	}
	if err := signed(request, certificate, now); err != nil {
		return err
	}
	for _, uri := range certificate.URIs {
		if uri.String() == r.id {
			return nil
		}
	}
	return errors.New("the role's trust policy names somebody else")
}

// shown is the certificate that a request comes with.
func shown(header http.Header) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(header.Get("X-Amz-X509"))
	if err != nil {
		return nil, fmt.Errorf("X-Amz-X509: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("X-Amz-X509: %w", err)
	}
	return certificate, nil
}

// signed says why a request is not signed by the certificate's key.
func signed(request *http.Request, certificate *x509.Certificate, now time.Time) error {
	date := request.Header.Get("X-Amz-Date")
	at, err := time.Parse(dateForm, date)
	if err != nil || now.Sub(at).Abs() > oldest {
		return fmt.Errorf("X-Amz-Date is %q", date)
	}
	scope := date[:8] + "/eu-central-1/rolesanywhere/aws4_request"
	start := algorithm + " Credential=" + certificate.SerialNumber.String() + "/" + scope + ", SignedHeaders="
	rest, ok := strings.CutPrefix(request.Header.Get("Authorization"), start)
	names, signature, ok2 := strings.Cut(rest, ", Signature=")
	der, err := hex.DecodeString(signature)
	if !ok || !ok2 || err != nil {
		return fmt.Errorf("the header Authorization does not begin with %s", start)
	}
	canonical, err := canonical(request, names)
	if err != nil {
		return err
	}
	text := sha256.Sum256([]byte(algorithm + "\n" + date + "\n" + scope + "\n" + digest(canonical)))
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(key, text[:], der) {
		return errors.New("the signature is not the certificate's key's")
	}
	return nil
}

// canonical is the text of a request that is signed, with the headers of those names.
func canonical(request *http.Request, names string) (string, error) {
	body, err := io.ReadAll(io.LimitReader(request.Body, longest))
	if err != nil {
		return "", err
	}
	lines := []string{request.Method, request.URL.Path, strings.ReplaceAll(request.URL.Query().Encode(), "+", "%20")}
	for name := range strings.SplitSeq(names, ";") {
		value := strings.Join(request.Header.Values(name), ",")
		switch name {
		case "host":
			value = request.Host
		case "content-length":
			value = fmt.Sprint(request.ContentLength)
		}
		lines = append(lines, name+":"+value)
	}
	return strings.Join(append(lines, "", names, digest(string(body))), "\n"), nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// selfSigned is a certificate of a host, for a day, and in PEM for who shall believe it.
func selfSigned(host string) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}
