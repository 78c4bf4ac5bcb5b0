package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
)

// command is a crypto.Signer that a user's command stands behind, such as a key
// service's client.
type command struct {
	ctx    context.Context
	line   string // for a shell
	public *rsa.PublicKey
}

// Public is the public key of the certificate.
func (c command) Public() crypto.PublicKey { return c.public }

// Sign has the command sign a digest, and makes sure that it was the right key.
func (c command) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	// The line may have a token in it: it reaches the shell by the environment, so
	// that no echo and no error shows it.
	command := run.New("sh", "-c", `eval "$`+CommandVariable+`"`)
	command = command.WithEnv(CommandVariable + "=" + c.line)
	for _, name := range secret.Cloud { // a key service's client may need them
		if value := secret.Get(name); value != "" {
			command = command.WithEnv(name + "=" + value)
		}
	}
	command.Stdin = bytes.NewReader(digest)
	var out bytes.Buffer
	command.Stdout = &out
	if err := command.Run(c.ctx); err != nil {
		return nil, err
	}
	if err := rsa.VerifyPKCS1v15(c.public, opts.HashFunc(), digest, out.Bytes()); err != nil {
		return nil, fmt.Errorf("the %d bytes that the command of %s has written are no RSA PKCS#1 v1.5 signature of %d bytes by the key of %s",
			out.Len(), CommandVariable, c.public.Size(), CertificateVariable)
	}
	return out.Bytes(), nil
}

func openCommand(settings Settings) (*Signer, error) {
	if settings.Certificate == "" {
		return nil, fmt.Errorf("%s is set, and %s is not: it is the file of the public key whose secret part the command signs with", CommandVariable, CertificateVariable)
	}
	content, err := os.ReadFile(settings.Certificate)
	if err != nil {
		return nil, fmt.Errorf("reading the public key of %s: %w", CertificateVariable, err)
	}
	certificates, err := Certificates(content)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", settings.Certificate, err)
	}
	certificate, err := only(certificates, settings.Key, settings.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := certificate.signingKey(choice{named: settings.Key, at: settings.Time, bits: settings.Bits, has: func(key) bool { return true }})
	if err != nil {
		return nil, err
	}
	public := key.public.PublicKey.(*rsa.PublicKey)
	return newSigner(certificate, key, settings.Time, func(ctx context.Context) crypto.Signer {
		return command{ctx, settings.Command, public}
	}), nil
}

// only is the certificate with the named key, or the only one that there is.
func only(certificates []Certificate, named, where string) (Certificate, error) {
	if named == "" && len(certificates) == 1 {
		return certificates[0], nil
	}
	var fingerprints []string
	for _, c := range certificates {
		if slices.ContainsFunc(c.keys(), func(k key) bool { return k.fingerprint() == named }) {
			return c, nil
		}
		fingerprints = append(fingerprints, c.Fingerprint())
	}
	if named == "" {
		return Certificate{}, fmt.Errorf("%s has the keys %s: say by %s which one shall sign", where, strings.Join(fingerprints, " and "), KeyVariable)
	}
	return Certificate{}, fmt.Errorf("%s has the key %s, not %s of %s", where, strings.Join(fingerprints, " and "), named, KeyVariable)
}
