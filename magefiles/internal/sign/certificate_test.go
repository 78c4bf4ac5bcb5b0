package sign

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// gpg reads the keyrings back: the keys and subkeys that sign, in the order
// given, and in one block where they are armoured.
func TestKeyringFiles(t *testing.T) {
	s := stored(t)
	split, plain := s.certificate(t, s.split), s.certificate(t, s.plain)
	want := []string{s.split, s.old, s.signing, s.plain}
	for name, content := range map[string][]byte{"binary": Binary(split, plain), "armoured": Armoured(split, plain)} {
		out, err := output(t, ".", "gpg", "--homedir", t.TempDir(), "--batch", "--with-colons", "--show-keys", write(t, "keys", content))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var got []string
		for line := range strings.Lines(out) {
			if fields := strings.Split(line, ":"); fields[0] == "fpr" {
				got = append(got, fields[9])
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has the keys %v, want %v", name, got, want)
		}
		again, err := Certificates(content)
		if err != nil || !bytes.Equal(Binary(again...), Binary(split, plain)) {
			t.Errorf("%s: read again, other bytes, or %v", name, err)
		}
	}
	if n := bytes.Count(Armoured(split, plain), []byte("BEGIN")); n != 1 {
		t.Errorf("%d blocks", n)
	}
	// apt looks at the first byte (its apt-key, is_supported_keyring).
	if first := Binary(split)[0]; first != 0x99 {
		t.Errorf("the first byte is %#x", first)
	}
	several := append(Armoured(split), Armoured(plain)...)
	if read, err := Certificates(several); err != nil || !bytes.Equal(Binary(read...), Binary(split, plain)) {
		t.Errorf("of two blocks %d certificates, error %v", len(read), err)
	}
}

// A certificate with nothing to leave out is as gpg exports it.
func TestCertificateAsExported(t *testing.T) {
	s := stored(t)
	if got, want := Binary(s.certificate(t, s.plain)), s.public(t, s.plain); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
}

// Pictures and what others have signed are left out; what was signed of the key
// before stays.
func TestMinimal(t *testing.T) {
	s := stored(t)
	home, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	other := &store{home: home}
	defer other.close()
	for _, fingerprint := range []string{s.plain, s.split} {
		if _, err := other.gpg([]byte(s.secret(t, "--export-secret-keys", fingerprint)), "--import"); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"--quick-set-expire", s.plain, "5y"}, // a second self-signature
		{"--local-user", s.split, "--yes", "--quick-sign-key", s.plain},
	} {
		when := fmt.Sprintf("%d!", at.Unix())
		if _, err := other.gpg(nil, append([]string{"--faked-system-time", when}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	// gpg takes out the first one, and merges the two where it imports both.
	if _, err := other.gpg(s.public(t, s.plain), "--import"); err != nil {
		t.Fatal(err)
	}
	whole := append(other.public(t, s.plain), packetBytes(17, []byte("no picture"))...)
	before, err := split(whole)
	if err != nil {
		t.Fatal(err)
	}
	found, err := Certificates(whole)
	if err != nil {
		t.Fatal(err)
	}
	after, err := split(Binary(found...))
	if err != nil {
		t.Fatal(err)
	}
	// Key, name, two signatures; and the two that are left out.
	if len(before[0]) != 6 || len(after[0]) != 4 {
		t.Errorf("of %d packets %d are left, want 4 of 6", len(before[0]), len(after[0]))
	}
	if got := found[0].keys()[0].end; got.Before(at.AddDate(4, 11, 0)) {
		t.Errorf("the key ends at %s: the later signature does not count", got)
	}
}

func TestCertificatesRefused(t *testing.T) {
	s := stored(t)
	whole := s.public(t, s.plain)
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":          {nil, "there is no OpenPGP key"},
		"text":             {[]byte("text"), "OpenPGP"},
		"cut short":        {whole[:100], "OpenPGP"},
		"armour, no end":   {Armoured(s.certificate(t, s.plain))[:200], "has no end"},
		"damaged armour":   {[]byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n:\n-----END PGP PUBLIC KEY BLOCK-----\n"), "cannot be read"},
		"signature":        {armour(openpgp.SignatureType, []byte("x")), "it is a PGP SIGNATURE"},
		"changed":          {changed(whole), "OpenPGP"},
		"begins elsewhere": {packetBytes(packetUserID, []byte("x")), "does not begin with an OpenPGP public key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Certificates(test.content); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
		})
	}
}

// changed is content with another bit in the middle.
func changed(content []byte) []byte {
	content = bytes.Clone(content)
	content[len(content)/2] ^= 1
	return content
}
