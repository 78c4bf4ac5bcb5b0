package sign

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The public keys say who may sign: the secret of a subkey alone signs for the whole
// certificate, a subkey that it lacks does not, and what was revoked signs no more,
// nor is believed.
func TestAmong(t *testing.T) {
	s := stored(t)
	subkey := func(fingerprint string) *Signer {
		return opened(t, Settings{Secret: s.secret(t, "--export-secret-subkeys", fingerprint+"!")})
	}
	packages, indexes, plain := subkey(s.old), subkey(s.signing), opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.plain)})
	whole := []Certificate{s.certificate(t, s.split)}
	for _, signer := range []*Signer{packages, indexes} {
		if published, err := signer.Among(whole); err != nil || !bytes.Equal(Binary(published), Binary(whole...)) {
			t.Errorf("%s: %v", signer.key.fingerprint(), err)
		}
	}
	revoked := s.withRevoked(t, s.plain)
	for name, c := range map[string]struct {
		signer *Signer
		among  []Certificate
		want   string
	}{
		"nobody's":       {plain, whole, "the key " + s.plain + " is none of the archive's: " + s.split},
		"no such subkey": {indexes, []Certificate{packages.Certificate()}, "the key " + s.signing + " must not sign"},
		"a revoked key":  {plain, []Certificate{revoked}, "is revoked"},
		"no keys at all": {plain, nil, "is none of the archive's"},
	} {
		if _, err := c.signer.Among(c.among); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	signature, err := plain.Detached(t.Context(), strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := NewKeyring(revoked).Detached(strings.NewReader("x"), signature); err == nil || !strings.Contains(err.Error(), "which is revoked") {
		t.Errorf("a signature of a revoked key: %v", err)
	}
}

// withRevoked is a certificate with its revocation, which nobody else has got yet.
func (s *store) withRevoked(t *testing.T, fingerprint string) Certificate {
	t.Helper()
	home, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	other := &store{home: home}
	t.Cleanup(other.close)
	if _, err := other.gpg(s.public(t, fingerprint), "--import"); err != nil {
		t.Fatal(err)
	}
	revocations := filepath.Join(home, "openpgp-revocs.d")
	if err := os.CopyFS(revocations, os.DirFS(filepath.Join(s.home, "openpgp-revocs.d"))); err != nil {
		t.Fatal(err)
	}
	if err := other.revoke(fingerprint); err != nil {
		t.Fatal(err)
	}
	return other.certificate(t, fingerprint)
}
