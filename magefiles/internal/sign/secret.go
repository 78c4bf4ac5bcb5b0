package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Types of packets with secret parts (RFC 9580, section 5).
const (
	packetSecretKey    = 5
	packetSecretSubkey = 7
)

// openSecret is a signer with the key of the settings. The key is in this
// process's memory and nowhere else: whatever ends the process ends the key.
func openSecret(ctx context.Context, settings Settings) (*Signer, error) {
	certificates, secrets, err := readSecret(settings)
	if err != nil {
		return nil, err
	}
	certificate, err := only(certificates, settings.Key, SecretVariable)
	if err != nil {
		return nil, err
	}
	key, err := certificate.signingKey(choice{
		named: settings.Key, at: settings.Time, bits: settings.Bits,
		has: func(k key) bool { return secrets[k.fingerprint()] != nil },
	})
	if err != nil {
		return nil, err
	}
	private, err := unlocked(secrets[key.fingerprint()], settings.Passphrase)
	if err != nil {
		return nil, err
	}
	held := &held{private: private}
	s := newSigner(certificate, key, settings.Time, func(context.Context) crypto.Signer { return held })
	stop := context.AfterFunc(ctx, held.drop)
	s.close = func() error { stop(); held.drop(); return nil }
	return s, nil
}

// readSecret gives the certificates of the armoured keys, and the secret parts that
// are there by fingerprint: a primary key can be elsewhere, on a machine without a
// network.
func readSecret(settings Settings) ([]Certificate, map[string]*packet.PrivateKey, error) {
	unreadable := fmt.Errorf("%s is no armoured secret key, as `gpg --armor --export-secret-keys` gives it, with all its lines", SecretVariable)
	binary, err := dearmour([]byte(settings.Secret), openpgp.PrivateKeyType)
	if err != nil || !strings.Contains(settings.Secret, "-----BEGIN PGP ") {
		return nil, nil, unreadable
	}
	var public []byte
	secrets := map[string]*packet.PrivateKey{}
	for reader := packet.NewOpaqueReader(bytes.NewReader(binary)); ; {
		p, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, unreadable
		}
		if p.Tag != packetSecretKey && p.Tag != packetSecretSubkey {
			public = append(public, packetBytes(p.Tag, p.Contents)...)
			continue
		}
		parsed, err := p.Parse()
		private, ok := parsed.(*packet.PrivateKey)
		if err != nil || !ok {
			return nil, nil, unreadable // what the parser says may have parts of its input in it
		}
		var packet bytes.Buffer
		if err := private.PublicKey.Serialize(&packet); err != nil {
			return nil, nil, unreadable
		}
		public = append(public, packet.Bytes()...)
		if !private.Dummy() {
			secrets[fingerprint(&private.PublicKey)] = private
		}
	}
	certificates, err := Certificates(public)
	if err != nil {
		return nil, nil, unreadable
	}
	return certificates, secrets, nil
}

// unlocked is a secret key that can be used.
func unlocked(private *packet.PrivateKey, passphrase string) (*rsa.PrivateKey, error) {
	switch {
	case strings.Contains(passphrase, "\n"):
		return nil, fmt.Errorf("the passphrase of %s has more than one line", PassphraseVariable)
	case private.Encrypted && passphrase == "":
		return nil, fmt.Errorf("the key has a passphrase: set %s", PassphraseVariable)
	case private.Encrypted && private.Decrypt([]byte(passphrase)) != nil:
		return nil, fmt.Errorf("the passphrase of %s is not the key's", PassphraseVariable)
	}
	return private.PrivateKey.(*rsa.PrivateKey), nil // signingKey gives no other
}

// held is a secret key until it is dropped.
type held struct {
	mu      sync.Mutex
	private *rsa.PrivateKey
}

// Public is the key's public part.
func (h *held) Public() crypto.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.private == nil {
		return nil
	}
	return h.private.Public()
}

// Sign signs a digest.
func (h *held) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.private == nil {
		return nil, errors.New("the signer is closed")
	}
	return h.private.Sign(random, digest, opts)
}

func (h *held) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.private = nil
}

// withFile reads the secret from its file, where the settings name one.
func (settings Settings) withFile() (Settings, error) {
	if settings.SecretFile == "" {
		return settings, nil
	}
	if settings.Secret != "" {
		return settings, fmt.Errorf("%s and %s are both set: which of them shall sign? Unset the other", SecretVariable, SecretFileVariable)
	}
	content, err := os.ReadFile(settings.SecretFile)
	if err != nil {
		return settings, fmt.Errorf("reading the secret key of %s: %w", SecretFileVariable, err)
	}
	settings.Secret = string(content)
	return settings, nil
}
