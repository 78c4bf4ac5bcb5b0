// Command sds asks an agent for secrets as Envoy does, by its secret discovery
// service, version 3. The tests run it with the configuration that the package
// of the agent advises for Envoy, which the distributions do not have: where the
// agent is, and what the secrets are called, is read from there.
//
//	sds ENVOY.YAML [NAME...]
//
// It says a line for each secret that is right, and fails with the first that is
// not. Names are asked for in the place of those in the configuration: of a
// certificate, and of a validation context.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// patience is how long the agent may take for all answers.
const patience = 10 * time.Second

func main() {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errors.New("usage: sds ENVOY.YAML [CERTIFICATE CONTEXT]")
	}
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	wants, err := parse(content)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if len(args) == 3 {
		wants.certificate, wants.validation = args[1], args[2]
	}
	secrets, err := ask(ctx, wants)
	if err != nil {
		return fmt.Errorf("asking at %s for %w", wants.socket, err)
	}
	return check(wants, secrets)
}

// check makes sure that Envoy could use the secrets: the key is the
// certificate's, and who shows it is one whom the validation context lets in.
func check(wants wants, secrets map[string]secret) error {
	own, peers := secrets[wants.certificate], secrets[wants.validation]
	pair, err := tls.X509KeyPair(own.chain, own.key)
	if err != nil {
		return fmt.Errorf("%s: %w", wants.certificate, err)
	}
	var uris []string
	for _, uri := range pair.Leaf.URIs {
		uris = append(uris, uri.String())
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(peers.roots) {
		return fmt.Errorf("%s: it has no certificate", wants.validation)
	}
	between.AppendCertsFromPEM(own.chain)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("%s does not let %s in: %w", wants.validation, wants.certificate, err)
	}
	fmt.Printf("%s is the certificate and key of %s\n", wants.certificate, strings.Join(uris, " "))
	fmt.Printf("%s lets it in\n", wants.validation)
	return nil
}
