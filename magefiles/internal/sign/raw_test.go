package sign

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile/apkfiletest"
)

// What is signed for apk is verified by the key that the signature names, and by no
// other; the key's file has it as apk reads it.
func TestRaw(t *testing.T) {
	s := stored(t)
	signer := opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.split)})
	signature, err := signer.Raw(t.Context(), []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	ring := NewKeyring(s.certificate(t, s.split))
	if err := ring.Raw(signer.RawKey(), []byte("content"), signature); err != nil {
		t.Error(err)
	}
	wantError(t, ring.Raw(signer.RawKey(), []byte("Content"), signature), "bad signature", s.signing)
	wantError(t, ring.Raw("x.rsa.pub", []byte("content"), signature), `it is signed by the key "x.rsa.pub", not by`, signer.RawKey())
	wantError(t, NewKeyring().Raw(signer.RawKey(), []byte("content"), signature), signer.RawKey())
	wantError(t, NewKeyring(s.withRevoked(t, s.split)).Raw(signer.RawKey(), []byte("content"), signature), "is revoked")
	if got, want := signer.RawKey(), strings.ToLower(s.signing)+".rsa.pub"; got != want {
		t.Errorf("the key's file is %s, want %s", got, want)
	}
	block, _ := pem.Decode(s.certificate(t, s.split).RawKeys()[signer.RawKey()])
	if block == nil {
		t.Fatal("its file has no key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if own, ok := public.(*rsa.PublicKey); err != nil || !ok || !own.Equal(&s.private(t, s.signing).PublicKey) {
		t.Errorf("%v: another key", err)
	}
	if len(s.withRevoked(t, s.split).RawKeys()) > 0 {
		t.Error("a revoked key is given to who shall trust it")
	}
}

// Whose key ends soon is told by the key's file, too.
func TestCheckRawKey(t *testing.T) {
	s := stored(t)
	year := made.Add(time.Hour).AddDate(1, 0, 0) // of split's subkey
	signer := opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.split)})
	ring := NewKeyring(s.certificate(t, s.split))
	if err := ring.CheckRawKey(signer.RawKey(), year.Add(-Notice-time.Second)); err != nil {
		t.Error(err)
	}
	wantError(t, ring.CheckRawKey(signer.RawKey(), year.Add(-Notice)), s.signing, "in 90 days")
	wantError(t, ring.CheckRawKey("x.rsa.pub", made), `"x.rsa.pub"`)
	wantError(t, NewKeyring(s.withRevoked(t, s.split)).CheckRawKey(signer.RawKey(), made), "revoked")
}

// gpg-agent's words are told as gpg's are, and never taken for a signature.
func TestSignatureValue(t *testing.T) {
	for name, c := range map[string]struct{ said, want string }{
		"passphrase": {"OK\nERR 67108875 Bad passphrase <GPG Agent>\n", PassphraseVariable},
		"other":      {"ERR 1 No such thing <GPG Agent>\n", "gpg-agent says 1 No such thing"},
		"nothing":    {"OK\n", "no RSA signature"},
		"too long":   {"D[0000]  28 37 3A 73 69 67 2D 76  61 6C 28 33 3A 72 73 61   (7:sig-val(3:rsa\nD[0010]  28 31 3A 73 33 3A 61 62 63 29 29 29   (1:s3:abc)))\nOK\n", "no RSA signature"},
	} {
		if _, err := signatureValue(c.said, 2); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := signatureValue("D[0000]  28 37 3A 73 69 67 2D 76  61 6C 28 33 3A 72 73 61   (7:sig-val(3:rsa\nD[0010]  28 31 3A 73 32 3A 61 25 32 35 29 29 29   (1:s2:a%25)))\nOK\n", 3)
	if err != nil || string(got) != "\x00a%" {
		t.Errorf("%q, %v", got, err)
	}
}

// An apk that is signed is the same but for its signature, and refused where anything of
// it is another.
func TestAPK(t *testing.T) {
	s := stored(t)
	signer := opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.split)})
	made := apkfiletest.Package(t, "demo", "1.2.3-r1", "x86_64", "text")
	from := write(t, "demo.apk", apkfiletest.Bytes(t, made))
	to := filepath.Join(t.TempDir(), "demo.apk")
	ring := NewKeyring(s.certificate(t, s.split))
	wantError(t, ring.APK(t.Context(), from), ErrUnsigned.Error())
	for range 2 { // the second takes the first one's place
		if err := signer.APK(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
		if err := ring.APK(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		from = to
	}
	good, err := apkfile.Read(read(t, to))
	if err != nil || good.Identity() != made.Identity() {
		t.Errorf("%v: it is another package: %s", err, good.Identity())
	}
	other := apkfiletest.Package(t, "demo", "1.2.3-r1", "x86_64", "Text")
	for want, change := range map[string]func(*apkfile.File){
		"checksum mismatch":             func(f *apkfile.File) { f.Data = other.Data },
		"bad signature":                 func(f *apkfile.File) { f.Control, f.Data = other.Control, other.Data },
		"it is signed by the key \"x\"": func(f *apkfile.File) { f.Key = "x" },
	} {
		bad := good
		change(&bad)
		wantError(t, ring.APK(t.Context(), write(t, "demo.apk", apkfiletest.Bytes(t, bad))), want)
	}
	damaged := good
	damaged.Data = other.Data
	wantError(t, signer.APK(t.Context(), write(t, "demo.apk", apkfiletest.Bytes(t, damaged)), to), "checksum mismatch")
}
