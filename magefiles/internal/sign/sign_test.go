package sign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// texts have what the cleartext framework treats in its own way.
var texts = map[string]string{
	"plain":             "Format: 1.0\nSource: demo\n",
	"dashes":            "- a\n-b\n--\n-----BEGIN\n",
	"From":              "From here\nfrom there\n From\n",
	"spaces":            "a \nb\t\n \n",
	"no newline at end": "a\nb",
	"empty lines":       "\n\na\n\n\n",
}

// Whoever holds the key, the same key signs the same at the same time: gpg's
// own bytes, which gpgv finds right.
func TestSigners(t *testing.T) {
	s := stored(t)
	public := write(t, "public.gpg", s.public(t, s.split))
	t.Setenv("AWS_SECRET_ACCESS_KEY", "cloudy") // which a key service's client reads, and no other program
	reference := opened(t, Settings{Key: s.split})
	service, err := New(s.certificate(t, s.split), s.private(t, s.signing), at, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*Signer{
		"own gpg":           reference,
		"own gpg, subkey":   opened(t, Settings{Key: strings.ToLower(s.signing)}),
		"secret":            opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.split)}),
		"secret, named":     opened(t, Settings{Key: s.split, Secret: s.secret(t, "--export-secret-keys", s.split)}),
		"secret subkeys":    opened(t, Settings{Secret: s.secret(t, "--export-secret-subkeys", s.split)}),
		"only that subkey":  opened(t, Settings{Secret: s.secret(t, "--export-secret-subkeys", s.signing+"!")}),
		"command":           opened(t, Settings{Command: `test "$AWS_SECRET_ACCESS_KEY" = cloudy && ` + s.service(t, s.signing), Certificate: public}),
		"crypto.Signer":     service,
		"passphrase to own": opened(t, Settings{Key: s.split, Passphrase: "needs none"}),
	} {
		t.Run(name, func(t *testing.T) {
			if signer.Fingerprint() != s.split || !signer.Time().Equal(at) {
				t.Errorf("key %s, time %s", signer.Fingerprint(), signer.Time())
			}
			// What gpg exports of one subkey has no other.
			if name != "only that subkey" && !bytes.Equal(signer.Public(), reference.Public()) {
				t.Error("another certificate")
			}
			wantSame(t, "detached", signer, reference, func(s *Signer) ([]byte, error) {
				return s.Detached(t.Context(), strings.NewReader("message\x00\n"))
			})
			wantSame(t, "raw", signer, reference, func(s *Signer) ([]byte, error) { return s.Raw(t.Context(), []byte("message")) })
			for name, text := range texts {
				wantSame(t, name, signer, reference, func(s *Signer) ([]byte, error) { return s.Clear(t.Context(), []byte(text)) })
			}
		})
	}
}

func wantSame(t *testing.T, what string, one, two *Signer, sign func(*Signer) ([]byte, error)) {
	t.Helper()
	got, err := sign(one)
	want, err2 := sign(two)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: signed as\n%q\nwant\n%q", what, got, want)
	}
}

// gpgv takes the signatures, and has the digest and the key that were asked for.
func TestGPGV(t *testing.T) {
	s := stored(t)
	private := s.private(t, s.signing)
	function, err := New(s.certificate(t, s.split), private, at, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]*Signer{
		"gpg": opened(t, Settings{Key: s.split}), "function": function,
		"named subkey":        opened(t, Settings{Key: s.old}),
		"own gpg, passphrase": opened(t, Settings{Key: s.locked, Passphrase: passphrase}),
		"secret, passphrase":  opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.locked), Passphrase: passphrase}),
	} {
		t.Run(name, func(t *testing.T) {
			ring := write(t, "ring.gpg", signer.Public())
			message := write(t, "message", []byte("message\n"))
			signature, err := signer.Detached(t.Context(), strings.NewReader("message\n"))
			if err != nil {
				t.Fatal(err)
			}
			clear, err := signer.Clear(t.Context(), []byte("- a\nb \n"))
			if err != nil {
				t.Fatal(err)
			}
			for _, files := range [][]string{{write(t, "signature", signature), message}, {write(t, "clear", clear)}} {
				out, err := output(t, ".", "gpgv", append([]string{"--status-fd", "1", "--keyring", ring}, files...)...)
				// VALIDSIG: key, day, time, end, version, reserved, RSA, SHA-512, type, primary key.
				want := fmt.Sprintf("VALIDSIG %s %s %d 0 4 0 1 10 0%d %s", signer.key.fingerprint(), at.Format(time.DateOnly), at.Unix(), 2-len(files), signer.Fingerprint())
				if err != nil || !strings.Contains(out, want) {
					t.Errorf("gpgv does not say %s: %v\n%s", want, err, out)
				}
			}
		})
	}
}

// What a user has in gpg.conf changes nothing.
func TestConfiguration(t *testing.T) {
	s := stored(t)
	path := filepath.Join(s.home, "gpg.conf")
	signer := opened(t, Settings{Key: s.split})
	before, err := signer.Clear(t.Context(), []byte("text\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(path) })
	if err := os.WriteFile(path, []byte("comment none of ours\nemit-version\nsig-notation a@example.org=b\nsig-policy-url https://example.org/\ndefault-sig-expire 1d\narmor\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after, err := signer.Clear(t.Context(), []byte("text\n")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("error %v\n%s", err, after)
	}
}

func TestOpenRefuses(t *testing.T) {
	s := stored(t)
	public := func(fingerprints ...string) string { return write(t, "public.gpg", s.public(t, fingerprints...)) }
	for name, test := range map[string]struct {
		settings Settings
		want     string
	}{
		"nothing":                   {Settings{}, "set SPIRE_SIGN_KEY to the fingerprint"},
		"passphrase only":           {Settings{Passphrase: "x"}, "there is no key to sign with"},
		"short key id":              {Settings{Key: s.split[24:]}, "not a fingerprint of 40 hexadecimal digits"},
		"mail address":              {Settings{Key: "split@example.org"}, "not a fingerprint of 40 hexadecimal digits"},
		"unknown":                   {Settings{Key: strings.Repeat("AB", 20)}, "gpg has no key ABABAB"},
		"ended":                     {Settings{Key: s.ended}, "has ended on " + made.AddDate(0, 0, -10).Format(time.DateOnly)},
		"revoked":                   {Settings{Key: s.revoked}, "is revoked"},
		"not RSA":                   {Settings{Key: s.curve}, "is not an RSA key"},
		"before the key":            {Settings{Key: s.plain, Time: made.Add(-time.Second)}, "after the time of the signature"},
		"ambiguous":                 {Settings{Command: "true", Secret: "x"}, "both set"},
		"secret that is none":       {Settings{Secret: "a password"}, "SPIRE_SIGN_SECRET is no armoured secret key"},
		"secret without newlines":   {Settings{Secret: strings.ReplaceAll(s.secret(t, "--export-secret-keys", s.plain), "\n", " ")}, "with all its lines"},
		"public key as secret":      {Settings{Secret: string(Armoured(s.certificate(t, s.plain)))}, "no armoured secret key"},
		"two secrets":               {Settings{Secret: s.secret(t, "--export-secret-keys", s.plain) + s.secret(t, "--export-secret-keys", s.split)}, "say by SPIRE_SIGN_KEY"},
		"other key than the secret": {Settings{Secret: s.secret(t, "--export-secret-keys", s.plain), Key: s.split}, "not " + s.split},
		"wrong passphrase":          {Settings{Secret: s.secret(t, "--export-secret-keys", s.locked), Passphrase: "wrong"}, "passphrase of SPIRE_SIGN_PASSPHRASE is not the key's"},
		"no passphrase":             {Settings{Secret: s.secret(t, "--export-secret-keys", s.locked)}, "set SPIRE_SIGN_PASSPHRASE"},
		"passphrase of two lines":   {Settings{Secret: s.secret(t, "--export-secret-keys", s.locked), Passphrase: "a\nb"}, "more than one line"},
		"no certificate":            {Settings{Command: "true"}, "SPIRE_SIGN_CERTIFICATE is not"},
		"certificate not there":     {Settings{Command: "true", Certificate: "/nonexistent"}, "/nonexistent"},
		"certificate that is none":  {Settings{Command: "true", Certificate: write(t, "x", []byte("text"))}, "reading "},
		"secret key as certificate": {Settings{Command: "true", Certificate: write(t, "x", []byte(s.secret(t, "--export-secret-keys", s.plain)))}, "PRIVATE KEY BLOCK"},
		"two certificates":          {Settings{Command: "true", Certificate: public(s.plain, s.split)}, "say by SPIRE_SIGN_KEY"},
		"other certificate":         {Settings{Command: "true", Certificate: public(s.plain), Key: s.split}, "not " + s.split},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := Open(t.Context(), complete(test.settings))
			if err == nil {
				_ = signer.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
		})
	}
	if _, err := Open(t.Context(), Settings{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("no settings: error %v", err)
	}
	if _, err := Open(t.Context(), Settings{Key: s.plain, Time: at}); err == nil || !strings.Contains(err.Error(), "has 2048 bits, and 4096 is the least") {
		t.Errorf("a short key: error %v", err)
	}
}

// A keyring that knows a key and has no secret part of it.
func TestNoSecretPart(t *testing.T) {
	s := stored(t)
	home, err := os.MkdirTemp("", "g")
	if err != nil {
		t.Fatal(err)
	}
	other := &store{home: home}
	defer other.close()
	if _, err := other.gpg(s.public(t, s.plain, s.split), "--import"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	if _, err := Open(t.Context(), complete(Settings{Key: s.plain})); err == nil || !strings.Contains(err.Error(), s.plain+" has no secret part here") {
		t.Errorf("error %v", err)
	}
	// The subkeys only: the older one signs where the newer is elsewhere.
	if _, err := other.gpg([]byte(s.secret(t, "--export-secret-subkeys", s.old+"!")), "--import"); err != nil {
		t.Fatal(err)
	}
	if signer := opened(t, Settings{Key: s.split}); signer.key.fingerprint() != s.old {
		t.Errorf("%s signs", signer.key.fingerprint())
	}
	if _, err := Open(t.Context(), complete(Settings{Key: s.signing})); err == nil || !strings.Contains(err.Error(), s.signing+" has no secret part here") {
		t.Errorf("error %v", err)
	}
}

// Commands that do not sign, or not with the key, or say too much.
func TestCommandRefused(t *testing.T) {
	s := stored(t)
	public := write(t, "public.gpg", s.public(t, s.split))
	for name, test := range map[string]struct{ line, want string }{
		"fails":           {"echo no token >&2; exit 3", "no token"},
		"writes nothing":  {"true", "0 bytes"},
		"writes no bytes": {s.service(t, s.signing) + " | base64", "are no RSA PKCS#1 v1.5 signature of 256 bytes"},
		"other key":       {s.service(t, s.plain), "are no RSA PKCS#1 v1.5 signature"},
	} {
		t.Run(name, func(t *testing.T) {
			var echo bytes.Buffer
			echoed(t, &echo)
			signer := opened(t, Settings{Command: "TOKEN=tell-nobody; " + test.line, Certificate: public})
			_, err := signer.Detached(t.Context(), strings.NewReader("x"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			if strings.Contains(fmt.Sprint(err, &echo), "tell-nobody") {
				t.Errorf("the command shows: %v\n%s", err, &echo)
			}
		})
	}
	if _, err := New(s.certificate(t, s.split), s.private(t, s.plain), at, 2048); err == nil || !strings.Contains(err.Error(), "has no secret part here") {
		t.Errorf("a key that is not the certificate's: error %v", err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(s.certificate(t, s.split), private, at, 2048); err == nil || !strings.Contains(err.Error(), "only RSA") {
		t.Errorf("a key that is not RSA: error %v", err)
	}
}

func echoed(t *testing.T, to *bytes.Buffer) {
	t.Helper()
	old := run.Echo
	run.Echo = to
	t.Cleanup(func() { run.Echo = old })
}

// temp is an empty folder for temporary files, with a short name.
func temp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}

// secrets are parts of a secret key's text, each long enough to be it, and the
// passphrase.
func secrets(text string) []string {
	parts := []string{passphrase}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) > 20 && !strings.HasPrefix(line, "-----") {
			parts = append(parts, line)
		}
	}
	return parts
}

// The secret key and its passphrase are nowhere but in this process's memory: not in
// what is echoed, not in an error, not in a file, not with another program. None is
// needed, either.
func TestSecretStaysSecret(t *testing.T) {
	s := stored(t)
	text := s.secret(t, "--export-secret-keys", s.locked)
	dir := temp(t)
	t.Setenv("PATH", dir) // no gpg
	var said bytes.Buffer
	echoed(t, &said)
	signer := opened(t, Settings{Secret: text, Passphrase: passphrase})
	if _, err := signer.Clear(t.Context(), []byte("text\n")); err != nil {
		t.Error(err)
	}
	for _, settings := range []Settings{
		{Secret: text, Passphrase: "wrong " + passphrase},
		{Secret: text[:len(text)/2], Passphrase: passphrase},
		{Secret: strings.Replace(text, "\n\n", "\n", 1), Passphrase: passphrase},
		{Secret: strings.Replace(text, "=", "", 1), Passphrase: passphrase},
		{Secret: text, Passphrase: passphrase, Key: s.split},
	} {
		other, err := Open(t.Context(), complete(settings))
		if err == nil { // the reader of armour forgives much
			err = other.Close()
		}
		fmt.Fprintln(&said, err)
	}
	if err := signer.Close(); err != nil {
		t.Error(err)
	}
	for _, part := range secrets(text) {
		if strings.Contains(said.String(), part) {
			t.Errorf("%q is said in\n%s", part, &said)
		}
	}
	wantEmpty(t, dir)
	if _, err := signer.Clear(t.Context(), []byte("text\n")); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("signed after the end, error %v", err)
	}
}

// wantEmpty makes sure that nothing is left in a folder.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}

func TestSecretFile(t *testing.T) {
	s := stored(t)
	text := s.secret(t, "--export-secret-keys", s.plain)
	if signer := opened(t, Settings{SecretFile: write(t, "secret.asc", []byte(text))}); signer.Fingerprint() != s.plain {
		t.Errorf("%s signs", signer.Fingerprint())
	}
	for want, settings := range map[string]Settings{
		"are both set": {SecretFile: "x", Secret: text}, "/nonexistent": {SecretFile: "/nonexistent"},
	} {
		if _, err := Open(t.Context(), complete(settings)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// The end of the context is the end of the key, whether it comes when nothing is
// signed, or in the middle.
func TestCancel(t *testing.T) {
	s := stored(t)
	text := s.secret(t, "--export-secret-keys", s.split)
	for name, after := range map[string]time.Duration{"at once": 0, "signing": 100 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			signer, err := Open(ctx, complete(Settings{Secret: text}))
			for err == nil {
				_, err = signer.Detached(ctx, strings.NewReader("x"))
			}
			if !strings.Contains(err.Error(), "closed") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// killedVariable names the folder in which this program, started again, signs
// until it is killed.
const killedVariable = "SPIRE_TEST_SIGNS"

// signForEver signs with the secret in the folder, and says when it has begun.
func signForEver(dir string) {
	secret, err := os.ReadFile(filepath.Join(dir, "secret.asc"))
	signer, err2 := Open(context.Background(), Settings{Secret: string(secret), Time: at, Bits: 2048})
	if err := errors.Join(err, err2); err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if _, err := signer.Detached(context.Background(), strings.NewReader("x")); err != nil {
			panic(err)
		}
		if i == 3 {
			fmt.Println("signs")
		}
	}
}

// However a run ends, no file has the key, and no program that would use it runs.
func TestKilled(t *testing.T) {
	s := stored(t)
	secret := s.secret(t, "--export-secret-keys", s.plain)
	place := t.TempDir()
	if err := os.WriteFile(filepath.Join(place, "secret.asc"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		dir := filepath.Join(place, signal.String())
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), killedVariable+"="+place, "TMPDIR="+dir)
		out, err := command.StdoutPipe()
		if err == nil {
			err = command.Start()
		}
		if err == nil {
			_, err = out.Read(make([]byte, 1))
		}
		if err == nil {
			err = command.Process.Signal(signal)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // it was killed
		wantEmpty(t, dir)
		for _, of := range []string{"environ", "cmdline"} {
			files, _ := filepath.Glob("/proc/[0-9]*/" + of)
			for _, file := range files {
				if content, _ := os.ReadFile(file); bytes.Contains(content, []byte(place)) {
					t.Errorf("%s: %s is of a program that still runs", signal, file)
				}
			}
		}
	}
}

func TestCheckKey(t *testing.T) {
	s := stored(t)
	year := made.Add(time.Hour).AddDate(1, 0, 0) // of split's subkey
	for name, test := range map[string]struct {
		key  string
		now  time.Time
		want string
	}{
		"never ends":             {s.plain, at.AddDate(50, 0, 0), ""},
		"subkey, far away":       {s.split, year.Add(-Notice - time.Second), ""},
		"subkey, 90 days":        {s.split, year.Add(-Notice), fmt.Sprintf("the key %s ends on %s, in 90 days", s.signing, year.Format(time.DateOnly))},
		"subkey, one day":        {s.split, year.Add(-24 * time.Hour), "in 1 days"},
		"primary that signs":     {s.locked, made.AddDate(0, 0, 150), "make its successor now"},
		"primary, 199 days away": {s.locked, at, ""},
	} {
		t.Run(name, func(t *testing.T) {
			settings := Settings{Key: test.key, Passphrase: passphrase}
			err := CheckKey(opened(t, settings), test.now)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// A subkey does not outlive its primary key.
func TestEnd(t *testing.T) {
	zero, one, two := time.Time{}, at, at.Add(time.Hour)
	for _, test := range [][3]time.Time{{zero, zero, zero}, {zero, one, one}, {one, zero, one}, {one, two, one}, {two, one, one}} {
		if got := earlier(test[0], test[1]); !got.Equal(test[2]) {
			t.Errorf("earlier(%s, %s) is %s", test[0], test[1], got)
		}
	}
}

// Where no time is given it is now, and one for all signatures.
func TestNow(t *testing.T) {
	s := stored(t)
	before := time.Now().Add(-time.Second)
	signer, err := New(s.certificate(t, s.plain), s.private(t, s.plain), time.Time{}, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if signer.Time().Before(before) || signer.Time().After(time.Now()) || signer.Time().Nanosecond() != 0 {
		t.Errorf("time %s", signer.Time())
	}
	if got := signer.Certificate().UserID(); got != "plain <plain@example.org>" {
		t.Errorf("user ID %s", got)
	}
}

// Another time is as if the key had been opened for it; one before the key is the
// key's own, by whatever it signs.
func TestAt(t *testing.T) {
	s := stored(t)
	service, err := New(s.certificate(t, s.split), s.private(t, s.signing), at, 2048)
	if err != nil {
		t.Fatal(err)
	}
	begin := made.Add(time.Hour) // of split's newer subkey
	for name, signer := range map[string]*Signer{"gpg": opened(t, Settings{Key: s.split}), "function": service} {
		for when, want := range map[time.Time]time.Time{
			at.Add(time.Hour): at.Add(time.Hour), begin: begin, made.AddDate(-1, 0, 0): begin,
		} {
			if got := signer.At(when).Time(); !got.Equal(want) {
				t.Errorf("%s: at %s it is %s, want %s", name, when, got, want)
			}
			wantSame(t, name, signer.At(when), opened(t, Settings{Key: s.split, Time: want}), func(s *Signer) ([]byte, error) {
				return s.Detached(t.Context(), strings.NewReader("x"))
			})
		}
		if !signer.Time().Equal(at) {
			t.Errorf("%s: the signer itself has another time", name)
		}
	}
}

// At the present time, too, a signature has that time to the second.
func TestPresentTime(t *testing.T) {
	s := stored(t)
	signer := opened(t, Settings{Secret: s.secret(t, "--export-secret-keys", s.plain)})
	for range 6 {
		at := signer.At(time.Now())
		signature, err := at.Detached(t.Context(), strings.NewReader("text"))
		if err != nil {
			t.Fatal(err)
		}
		if who, err := signers(signature); err != nil || !who[0].time.Equal(at.Time()) {
			t.Errorf("signed at %v, not %s: %v", who, at.Time(), err)
		}
		time.Sleep(170 * time.Millisecond) // another part of a second
	}
}
