// Command rolesanywhere stands for IAM Roles Anywhere of AWS, which is nowhere but there: it
// gives credentials for the one role that it knows to whoever proves by a certificate of
// the trust anchor that they are who the role's trust policy names.
//
//	rolesanywhere BUNDLE.PEM SPIFFE-ID CERTIFICATE.PEM
//
// The bundle is the trust anchor. It answers on port 443 of this machine's loopback as
// rolesanywhere.eu-central-1.amazonaws.com, by a certificate of its own, which it writes
// where it is told.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// host is the service's name, of the region that the tests are in.
const host = "rolesanywhere.eu-central-1.amazonaws.com"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: rolesanywhere BUNDLE.PEM SPIFFE-ID CERTIFICATE.PEM")
	}
	bundle, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	anchor := x509.NewCertPool()
	if !anchor.AppendCertsFromPEM(bundle) {
		return fmt.Errorf("%s has no certificate", args[0])
	}
	own, pem, err := selfSigned(host)
	if err != nil {
		return fmt.Errorf("making a certificate: %w", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:443", &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[2], pem, 0o644); err != nil {
		return err
	}
	return serve(listener, role{anchor: anchor, id: args[1]})
}

func serve(listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}

// role is one whose trust policy names an identity.
type role struct {
	anchor *x509.CertPool
	id     string
}

// ServeHTTP answers CreateSession.
func (r role) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	err := r.may(request, time.Now())
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()}) // who has gone gets none
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"credentialSet": []any{map[string]any{"credentials": map[string]string{
		"accessKeyId": "THE-KEY", "secretAccessKey": "THE-SECRET", "sessionToken": "THE-TOKEN", "expiration": "2030-01-01T00:00:00Z",
	}}}})
}
