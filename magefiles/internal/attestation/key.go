package attestation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// The types of PEM blocks.
const (
	publicType  = "PUBLIC KEY"
	privateType = "PRIVATE KEY"
)

// Key is the public key of somebody who rebuilds.
type Key struct{ ed25519.PublicKey }

// ed25519OID is RFC 8410's.
var ed25519OID = asn1.ObjectIdentifier{1, 3, 101, 112}

// publicKey is a SubjectPublicKeyInfo.
type publicKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Key       asn1.BitString
}

// ParseKey reads the first public key of a PEM file: as OpenSSL writes it, or as rebuilderd
// does, whose Ed25519 has the parameter NULL.
func ParseKey(content []byte) (Key, error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != publicType {
			continue
		}
		var read publicKey
		if _, err := asn1.Unmarshal(block.Bytes, &read); err != nil {
			return Key{}, fmt.Errorf("reading a public key: it is no SubjectPublicKeyInfo: %w", err)
		}
		if !read.Algorithm.Algorithm.Equal(ed25519OID) || len(read.Key.Bytes) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("reading a public key: it is of the algorithm %s, and attestations are signed by Ed25519", read.Algorithm.Algorithm)
		}
		return Key{read.Key.Bytes}, nil
	}
	return Key{}, fmt.Errorf("reading a public key: it is no PEM file with a %s", publicType)
}

// PEM is the key as rebuilderd writes it, which is the only form that its clients take.
func (k Key) PEM() []byte {
	content, err := asn1.Marshal(publicKey{
		pkix.AlgorithmIdentifier{Algorithm: ed25519OID, Parameters: asn1.NullRawValue},
		asn1.BitString{Bytes: k.PublicKey, BitLength: 8 * ed25519.PublicKeySize},
	})
	if err != nil {
		panic(fmt.Sprintf("a key without a DER form: %v", err)) // a programmer's slip, found by any test
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicType, Bytes: content})
}

// ID is in-toto's name of the key: the SHA-256 of its canonical form.
func (k Key) ID() string {
	content, err := canonical(map[string]any{
		"keytype": "ed25519", "scheme": "ed25519", "keyid_hash_algorithms": []any{"sha256", "sha512"},
		"keyval": map[string]any{"public": hex.EncodeToString(k.PublicKey)},
	})
	if err != nil {
		panic(fmt.Sprintf("a key without a JSON form: %v", err)) // a programmer's slip, found by any test
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// LoadOrMake reads a private key, PKCS #8 in PEM, or makes one where there is none, with its
// public key beside it, in a file whose name ends in .pub. No path is that of the user's own
// key, spire-packages/attest.key in the user's folder of configuration.
func LoadOrMake(path string) (ed25519.PrivateKey, error) {
	if path == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("finding a place for the key to attest by: %w", err)
		}
		path = filepath.Join(config, "spire-packages", "attest.key")
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key to attest by: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != privateType {
		return nil, fmt.Errorf("%s is no PEM file of a %s", path, privateType)
	}
	read, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	key, ok := read.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is no key of Ed25519, by which attestations are signed", path)
	}
	return key, nil
}

func makeKey(path string) (ed25519.PrivateKey, error) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("making a key to attest by: %w", err)
	}
	content, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making a key to attest by: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making a key to attest by: %w", err)
	}
	err = errors.Join(
		artifact.WriteBytes(path, 0o600, pem.EncodeToMemory(&pem.Block{Type: privateType, Bytes: content})),
		artifact.WriteBytes(path+".pub", 0o644, Key{public}.PEM()),
	)
	return key, err
}

// PublicOf is the public key of a private one.
func PublicOf(key ed25519.PrivateKey) Key {
	return Key{key.Public().(ed25519.PublicKey)}
}
