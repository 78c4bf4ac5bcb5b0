package sign

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
)

// at is the time of the signatures: after that of the keys.
var at = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// made is when the keys of the tests are made.
var made = at.Add(-24 * time.Hour)

const passphrase = "correct horse 4711"

// store is a gpg home with the keys of all tests, and what was taken out of it.
type store struct {
	home string
	// split has a primary key that certifies, subkeys that sign (an older one too)
	// and one that encrypts; plain is one key; locked is one with a passphrase;
	// weak, ended, revoked and curve are no good.
	split, plain, locked, ended, revoked, curve string
	old, signing                                string // split's subkeys
}

// keys are made once, because it takes seconds.
var keys = sync.OnceValues(func() (*store, error) {
	home, err := os.MkdirTemp("", "g")
	if err != nil {
		return nil, err
	}
	s := &store{home: home}
	var errs []error
	generate := func(name, pass, kind, usage, expires string, when time.Time) string {
		_, err := s.gpg(nil, "--passphrase", pass, "--faked-system-time", fmt.Sprintf("%d!", when.Unix()),
			"--quick-generate-key", name+" <"+name+"@example.org>", kind, usage, expires)
		errs = append(errs, err)
		return s.fingerprint(name, 0)
	}
	subkey := func(kind, usage string, when time.Time) {
		_, err := s.gpg(nil, "--passphrase", "", "--faked-system-time", fmt.Sprintf("%d!", when.Unix()),
			"--quick-add-key", s.split, kind, usage, "1y")
		errs = append(errs, err)
	}
	s.split = generate("split", "", "rsa2048", "cert", "2y", made)
	subkey("rsa2048", "sign", made)
	subkey("rsa2048", "sign", made.Add(time.Hour))
	subkey("rsa2048", "encr", made)
	s.old, s.signing = s.fingerprint("split", 1), s.fingerprint("split", 2)
	s.plain = generate("plain", "", "rsa2048", "cert,sign", "never", made)
	s.locked = generate("locked", passphrase, "rsa2048", "cert,sign", "200d", made)
	s.ended = generate("ended", "", "rsa2048", "cert,sign", "10d", made.AddDate(0, 0, -20))
	s.curve = generate("curve", "", "ed25519", "cert,sign", "never", made)
	s.revoked = generate("revoked", "", "rsa2048", "cert,sign", "never", made)
	errs = append(errs, s.revoke(s.revoked))
	return s, errors.Join(errs...)
})

// revoke imports the certificate of revocation that gpg has made with the key.
func (s *store) revoke(fingerprint string) error {
	text, err := os.ReadFile(filepath.Join(s.home, "openpgp-revocs.d", fingerprint+".rev"))
	if err != nil {
		return err
	}
	_, err = s.gpg(bytes.ReplaceAll(text, []byte(":-----BEGIN"), []byte("-----BEGIN")), "--import")
	return err
}

func (s *store) gpg(stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("gpg", append([]string{"--homedir", s.home, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("gpg %s: %w\n%s", strings.Join(args, " "), err, &errs)
	}
	return out, err
}

// fingerprint is that of the n-th key of a certificate.
func (s *store) fingerprint(name string, n int) string {
	out, _ := s.gpg(nil, "--with-colons", "--list-keys", name+"@example.org")
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			if n == 0 {
				return fields[9]
			}
			n--
		}
	}
	return ""
}

func (s *store) close() {
	cmd := exec.Command("gpgconf", "--kill", "all")
	cmd.Env = append(os.Environ(), "GNUPGHOME="+s.home)
	_ = cmd.Run()
	_ = os.RemoveAll(s.home)
}

var used *store

func TestMain(m *testing.M) {
	// No test finds the keys of whoever runs it.
	for name, value := range map[string]string{"GNUPGHOME": "/nonexistent", "HOME": "/nonexistent", "LC_ALL": "C", "TZ": "UTC"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	if dir := os.Getenv(killedVariable); dir != "" {
		signForEver(dir)
	}
	code := m.Run()
	if used != nil {
		used.close()
	}
	os.Exit(code)
}

// stored are the keys, which the test's own gpg has.
func stored(t *testing.T) *store {
	t.Helper()
	need(t, "gpg", "gpgconf", "gpgv")
	s, err := keys()
	used = s
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", s.home)
	return s
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: nothing makes keys, or reads what is signed", program)
		}
	}
}

// secret is an armoured secret key: of all of a certificate, or without the
// primary key.
func (s *store) secret(t *testing.T, how, fingerprint string) string {
	t.Helper()
	pass := ""
	if fingerprint == s.locked {
		pass = passphrase
	}
	out, err := s.gpg(nil, "--armor", "--passphrase", pass, how, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// public is a certificate as gpg exports it.
func (s *store) public(t *testing.T, fingerprints ...string) []byte {
	t.Helper()
	out, err := s.gpg(nil, append([]string{"--export"}, fingerprints...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *store) certificate(t *testing.T, fingerprint string) Certificate {
	t.Helper()
	found, err := Certificates(s.public(t, fingerprint))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d certificates, error %v", len(found), err)
	}
	return found[0]
}

// private is the number behind a key.
func (s *store) private(t *testing.T, fingerprint string) *rsa.PrivateKey {
	t.Helper()
	list, err := openpgp.ReadArmoredKeyRing(strings.NewReader(s.secret(t, "--export-secret-keys", fingerprint)))
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range list[0].Subkeys {
		if strings.EqualFold(fmt.Sprintf("%x", sub.PublicKey.Fingerprint), fingerprint) {
			return sub.PrivateKey.PrivateKey.(*rsa.PrivateKey)
		}
	}
	return list[0].PrivateKey.PrivateKey.(*rsa.PrivateKey)
}

// service is the line of a command that signs like a key service's client.
func (s *store) service(t *testing.T, fingerprint string) string {
	t.Helper()
	need(t, "openssl")
	content, err := x509.MarshalPKCS8PrivateKey(s.private(t, fingerprint))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: content}))
	return "openssl pkeyutl -sign -inkey '" + path + "' -pkeyopt digest:sha512 -pkeyopt rsa_padding_mode:pkcs1 | cat"
}

// write is the path of a new file.
func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// output is what a program says, standard error included.
func output(t *testing.T, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// opened is a signer that is closed at the test's end.
func opened(t *testing.T, settings Settings) *Signer {
	t.Helper()
	s, err := Open(t.Context(), complete(settings))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// complete are settings for the keys of the tests.
func complete(settings Settings) Settings {
	if settings.Time.IsZero() {
		settings.Time = at
	}
	settings.Bits = 2048
	return settings
}
