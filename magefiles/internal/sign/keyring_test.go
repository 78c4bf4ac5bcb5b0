package sign

import (
	"bytes"
	"context"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// wantError wants an error that has all the words; or none, without words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if err != nil {
			t.Error(err)
		}
		return
	}
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

func TestVerifyDetached(t *testing.T) {
	s := stored(t)
	const message = "message\n"
	made := func(settings Settings) []byte {
		signature, err := opened(t, settings).Detached(t.Context(), strings.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	good := made(Settings{Key: s.split})
	weak, err := s.gpg([]byte(message), "--digest-algo", "SHA1", "--local-user", s.plain, "--detach-sign")
	if err != nil {
		t.Fatal(err)
	}
	withdrawn := builder{
		key: s.certificate(t, s.revoked).keys()[0], time: at,
		service: func(context.Context) crypto.Signer { return s.private(t, s.revoked) },
	}
	late, err := withdrawn.detached(t.Context(), []byte(message))
	if err != nil {
		t.Fatal(err)
	}
	ring := NewKeyring(s.certificate(t, s.plain), s.certificate(t, s.split))
	for name, test := range map[string]struct {
		ring      Keyring
		message   string
		signature []byte
		want      []string
	}{
		"binary":                {ring, message, good, nil},
		"armoured":              {ring, message, armour(openpgp.SignatureType, good), nil},
		"by the other key":      {ring, message, made(Settings{Key: s.plain}), nil},
		"by both":               {ring, message, append(made(Settings{Key: s.locked, Passphrase: passphrase}), good...), nil},
		"other content":         {ring, "Message\n", good, []string{"its content is not what the key " + s.signing + " has signed"}},
		"changed signature":     {ring, message, append(good[:len(good)-1:len(good)-1], good[len(good)-1]^1), []string{"its content is not what"}},
		"somebody else":         {NewKeyring(s.certificate(t, s.plain)), message, good, []string{"signed by the key " + s.signing, "not by " + s.plain}},
		"no signature":          {ring, message, nil, []string{"no OpenPGP signature"}},
		"text":                  {ring, message, []byte("text"), []string{"no OpenPGP signature"}},
		"cut short":             {ring, message, good[:100], []string{"no OpenPGP signature"}},
		"a key":                 {ring, message, s.public(t, s.plain), []string{"no OpenPGP signature"}},
		"an armoured key":       {ring, message, Armoured(s.certificate(t, s.plain)), []string{"PUBLIC KEY BLOCK"}},
		"SHA-1":                 {ring, message, weak, []string{"SHA-1", "too weak"}},
		"revoked key":           {NewKeyring(s.certificate(t, s.revoked)), message, late, []string{s.revoked, "revoked"}},
		"no key trusted at all": {NewKeyring(), message, good, []string{"signed by the key " + s.signing}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, test.ring.Detached(strings.NewReader(test.message), test.signature), test.want...)
		})
	}
}

// What was signed in a key's life is right after its end, and what was signed
// later is not.
func TestVerifyAfterTheEnd(t *testing.T) {
	s := stored(t)
	early := at.AddDate(0, 0, -18)
	signature, err := New(s.certificate(t, s.ended), s.private(t, s.ended), early, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good, err := signature.Detached(t.Context(), strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	ring := NewKeyring(s.certificate(t, s.ended))
	wantError(t, ring.Detached(strings.NewReader("x"), good))
	wantError(t, ring.Detached(strings.NewReader("y"), good), "its content is not")
	signature.maker = builder{key: signature.key, time: at, service: signature.maker.(builder).service}
	late, err := signature.maker.detached(t.Context(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, ring.Detached(strings.NewReader("x"), late), "after the key's end")
	// Nor does a signer hand out what does not verify.
	_, err = signature.Detached(t.Context(), strings.NewReader("x"))
	wantError(t, err, "signing with the key "+s.ended)
}

func TestVerifyClear(t *testing.T) {
	s := stored(t)
	ring := NewKeyring(s.certificate(t, s.split))
	signed, err := opened(t, Settings{Key: s.split}).Clear(t.Context(), []byte(texts["dashes"]))
	if err != nil {
		t.Fatal(err)
	}
	unended, _, _ := bytes.Cut(signed, []byte("-----BEGIN PGP SIGNATURE"))
	content, err := ring.Clear(signed)
	if string(content) != texts["dashes"] || err != nil {
		t.Errorf("signed is %q, error %v", content, err)
	}
	for name, test := range map[string]struct {
		text []byte
		want string
	}{
		"unsigned":      {[]byte(texts["dashes"]), ErrUnsigned.Error()},
		"text before":   {append([]byte("Package: evil\n\n"), signed...), ErrUnsigned.Error()},
		"text behind":   {append(bytes.Clone(signed), "\nPackage: evil\n"...), "text behind its signature"},
		"changed":       {bytes.Replace(signed, []byte("- - a"), []byte("- - b"), 1), "its content is not what"},
		"cut short":     {signed[:len(signed)-40], "cut short"},
		"no signature":  {unended, "cut short"},
		"signed inside": {[]byte("-----BEGIN PGP SIGNED MESSAGE-----\nNot: allowed\n\nx\n"), "no OpenPGP signature"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ring.Clear(test.text)
			wantError(t, err, test.want)
		})
	}
	_, err = NewKeyring(s.certificate(t, s.plain)).Clear(signed)
	wantError(t, err, "signed by the key "+s.signing, "not by "+s.plain)
}

// Whoever has only a signature learns of its key's end, by the certificates here.
func TestKeyOfSignature(t *testing.T) {
	s := stored(t)
	year := made.Add(time.Hour).AddDate(1, 0, 0) // of split's subkey
	detached := func(key string) []byte {
		signature, err := opened(t, Settings{Key: key, Passphrase: passphrase}).Detached(t.Context(), strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	clear, err := opened(t, Settings{Key: s.split}).Clear(t.Context(), []byte("x\n"))
	if err != nil {
		t.Fatal(err)
	}
	ring := NewKeyring(s.certificate(t, s.plain), s.certificate(t, s.split))
	withdrawn, err := builder{
		key: s.certificate(t, s.revoked).keys()[0], time: at,
		service: func(context.Context) crypto.Signer { return s.private(t, s.revoked) },
	}.detached(t.Context(), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		ring      Keyring
		signature []byte
		now       time.Time
		want      []string
	}{
		"far away":      {ring, detached(s.split), year.Add(-Notice - time.Second), nil},
		"90 days":       {ring, detached(s.split), year.Add(-Notice), []string{s.signing, "in 90 days"}},
		"armoured":      {ring, armour(openpgp.SignatureType, detached(s.split)), year.Add(-Notice), []string{s.signing, "in 90 days"}},
		"signed text":   {ring, clear, year.Add(-Notice), []string{s.signing, "in 90 days"}},
		"never ends":    {ring, detached(s.plain), at.AddDate(50, 0, 0), nil},
		"somebody else": {ring, detached(s.locked), at, []string{s.locked, "not by " + s.plain}},
		"revoked":       {NewKeyring(s.certificate(t, s.revoked)), withdrawn, at, []string{s.revoked, "revoked"}},
		"no signature":  {ring, []byte("x"), at, []string{"no OpenPGP signature"}},
		"cut short":     {ring, clear[:60], at, []string{"signature"}},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, test.ring.CheckKey(test.signature, test.now), test.want...) })
	}
}
