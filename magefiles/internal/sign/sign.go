// Package sign makes OpenPGP signatures, with a key in gpg or in a key service,
// puts them into and beside files, and verifies them.
//
// All are RSA signatures of version 4 over SHA-512 digests: what every client
// takes, from rpm 4.14 to today's apt. They carry the key's fingerprint and id
// and the time, and nothing else, so that key, content and time alone decide
// their bytes, whoever holds the key.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Environment variables that callers take Settings from. Errors name them.
const (
	KeyVariable         = "SPIRE_SIGN_KEY"
	SecretVariable      = "SPIRE_SIGN_SECRET"
	SecretFileVariable  = "SPIRE_SIGN_SECRET_FILE"
	PassphraseVariable  = "SPIRE_SIGN_PASSPHRASE"
	CommandVariable     = "SPIRE_SIGN_COMMAND"
	CertificateVariable = "SPIRE_SIGN_CERTIFICATE"
)

// LeastBits is the least length of a signing key. RSA of 2048 bits ends in 2030
// (NIST SP 800-57 part 1, table 2).
const LeastBits = 4096

// Settings say what to sign with: Secret, or Command and Certificate, or Key
// alone.
type Settings struct {
	// Key is the fingerprint of the key or of the subkey to sign with, 40
	// hexadecimal digits. Alone it is a key in the caller's own gpg.
	Key string
	// Secret is an armoured secret key, as `gpg --armor --export-secret-keys` or
	// `--export-secret-subkeys` gives it.
	Secret string
	// SecretFile is the path of a file with the Secret.
	SecretFile string
	// Passphrase opens the secret key. gpg-agent asks for it where it is empty
	// and the key is the caller's own.
	Passphrase string
	// Command is a shell's command line that signs: it gets the 64 bytes of a
	// SHA-512 digest as its standard input and writes the RSA PKCS#1 v1.5
	// signature of it, as bytes, to its standard output.
	Command string
	// Certificate is the path of the Command's public key, armoured or binary.
	Certificate string
	// Time is the time of all signatures; zero means now.
	Time time.Time
	// Bits is the least length of an RSA key; zero means LeastBits.
	Bits int
}

// ErrNoKey is the error where nothing says what to sign with.
var ErrNoKey = errors.New("there is no key to sign with: set " + KeyVariable + " to the fingerprint of a key in your gpg, " +
	"or " + SecretVariable + ", or " + SecretFileVariable + " to a file of it (and " + PassphraseVariable + ") to an armoured secret key, " +
	"or " + CommandVariable + " and " + CertificateVariable + " to a key service's command and the file of its public key")

// Signer signs with one key, at one time.
type Signer struct {
	certificate Certificate
	key         key
	time        time.Time
	maker       maker
	close       func() error
}

// maker makes the signatures.
type maker interface {
	// detached is a binary signature (type 0x00) of all of message.
	detached(ctx context.Context, message []byte) ([]byte, error)
	// clear is the text in the cleartext signature framework.
	clear(ctx context.Context, text []byte) ([]byte, error)
	// raw is the bare RSA signature of a SHA-512 digest.
	raw(ctx context.Context, digest []byte) ([]byte, error)
	// at is the same for signatures of another time.
	at(t time.Time) maker
}

// Open gives the signer that the settings name. The caller closes it; the end
// of ctx closes it as well. The error is ErrNoKey where the settings are empty.
func Open(ctx context.Context, settings Settings) (*Signer, error) {
	settings, err := settings.withFile()
	if err != nil {
		return nil, err
	}
	settings.Time = second(settings.Time)
	if settings.Bits == 0 {
		settings.Bits = LeastBits
	}
	if settings.Key != "" && !isFingerprint(settings.Key) {
		return nil, fmt.Errorf("%s is not a fingerprint of 40 hexadecimal digits: %q (`gpg --list-keys` shows them; shorter names can be somebody else's key)", KeyVariable, settings.Key)
	}
	settings.Key = strings.ToUpper(settings.Key)
	switch {
	case settings.Command != "" && settings.Secret != "":
		return nil, fmt.Errorf("%s and %s are both set: which of them shall sign? Unset the other", CommandVariable, SecretVariable)
	case settings.Command != "":
		return openCommand(settings)
	case settings.Secret != "":
		return openSecret(ctx, settings)
	case settings.Key != "":
		return openOwn(ctx, settings)
	}
	return nil, ErrNoKey
}

func second(t time.Time) time.Time {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UTC().Truncate(time.Second)
}

// New is a signer with a key that some service holds: service signs with the
// key of certificate that has its public key. bits is the least length of the
// key, at the time of all signatures, zero for now.
func New(certificate Certificate, service crypto.Signer, at time.Time, bits int) (*Signer, error) {
	at = second(at)
	public, ok := service.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the key service has a key of the type %T: only RSA is taken by every client", service.Public())
	}
	key, err := certificate.signingKey(choice{at: at, bits: bits, has: func(k key) bool { return k.isRSA(public) }})
	if err != nil {
		return nil, err
	}
	return newSigner(certificate, key, at, func(context.Context) crypto.Signer { return service }), nil
}

func newSigner(certificate Certificate, key key, at time.Time, service func(context.Context) crypto.Signer) *Signer {
	return &Signer{
		certificate: certificate, key: key, time: at,
		maker: builder{key: key, time: at, service: service},
		close: func() error { return nil },
	}
}

// Detached is a binary OpenPGP signature, of type 0x00, of all that message has.
func (s *Signer) Detached(ctx context.Context, message io.Reader) ([]byte, error) {
	content, err := io.ReadAll(message)
	if err != nil {
		return nil, fmt.Errorf("reading what to sign: %w", err)
	}
	signature, err := s.maker.detached(ctx, content)
	if err != nil {
		return nil, s.explain(err)
	}
	// What a service or an agent gives is believed no more than anybody's.
	if err := s.keyring().Detached(bytes.NewReader(content), signature); err != nil {
		return nil, s.explain(err)
	}
	return signature, nil
}

// Clear is the text in the cleartext signature framework (RFC 9580, section 7).
func (s *Signer) Clear(ctx context.Context, text []byte) ([]byte, error) {
	signed, err := s.maker.clear(ctx, text)
	if err != nil {
		return nil, s.explain(err)
	}
	if _, err := s.keyring().Clear(signed); err != nil {
		return nil, s.explain(err)
	}
	return signed, nil
}

func (s *Signer) explain(err error) error {
	return fmt.Errorf("signing with the key %s: %w", s.key.fingerprint(), err)
}

func (s *Signer) keyring() Keyring {
	ring := Keyring{certificates: []Certificate{s.certificate}, now: s.time}
	return ring
}

// Public is the certificate, in OpenPGP's binary form.
func (s *Signer) Public() []byte { return Binary(s.certificate) }

// Certificate is the certificate of the key.
func (s *Signer) Certificate() Certificate { return s.certificate }

// Fingerprint is the primary key's, 40 upper-case hexadecimal digits.
func (s *Signer) Fingerprint() string { return s.certificate.Fingerprint() }

// Among gives the certificate among those given that has the very key that signs
// here. Where it has not, or says that the key is revoked or has ended, the error
// says so.
func (s *Signer) Among(certificates []Certificate) (Certificate, error) {
	var names []string
	for _, c := range certificates {
		if c.Fingerprint() != s.Fingerprint() {
			names = append(names, c.Fingerprint())
			continue
		}
		k, err := c.signingKey(choice{named: s.key.fingerprint(), at: s.time, has: func(k key) bool { return k.fingerprint() == s.key.fingerprint() }})
		if err == nil && k.fingerprint() == s.key.fingerprint() {
			return c, nil
		}
		return Certificate{}, fmt.Errorf("the key %s must not sign: %w", s.key.fingerprint(), err)
	}
	return Certificate{}, fmt.Errorf("the key %s is none of the archive's: %s", s.Fingerprint(), strings.Join(names, ", "))
}

// Time is the time of the signatures, in whole seconds of UTC.
func (s *Signer) Time() time.Time { return s.time }

// Close gives up the key. It may be called again.
func (s *Signer) Close() error { return s.close() }

// Notice is how long before its end a key is too old: its successor has to
// reach every client by an upgrade before that.
const Notice = 90 * 24 * time.Hour

// CheckKey is an error where the key, be it the primary or the subkey that
// signs, ends within Notice of now.
func CheckKey(s *Signer, now time.Time) error {
	return s.key.lasts(now)
}

// lasts is an error where the key ends within Notice of now.
func (k key) lasts(now time.Time) error {
	if k.end.IsZero() || k.end.Sub(now) > Notice {
		return nil
	}
	return fmt.Errorf("the key %s ends on %s, in %d days: make its successor now, publish the two side by side in the keyring packages, and sign with the new one when users have it (or extend the key, and publish it again)",
		k.fingerprint(), k.end.UTC().Format(time.DateOnly), int(k.end.Sub(now).Hours()/24))
}
