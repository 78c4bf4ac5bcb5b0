package sign

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rpmfile"
)

const spec = `Name: demo
Version: 1
Release: 2
Summary: Demonstration
License: MIT
BuildArch: noarch
%description
It shows.
%install
mkdir -p %{buildroot}/etc
echo a = 1 >%{buildroot}/etc/demo.conf
%files
/etc/demo.conf
`

// rpms are a src.rpm and an rpm as rpmbuild makes them.
var rpms = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "demo.spec"), []byte(spec), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("rpmbuild", "-ba", "--define", "_topdir "+dir, "demo.spec")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for kind, name := range map[string]string{"source": "SRPMS/demo-1-2.src.rpm", "binary": "RPMS/noarch/demo-1-2.noarch.rpm"} {
		if files[kind], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// each runs a test with the path of every rpm that there is to sign.
func each(t *testing.T, test func(t *testing.T, path string)) {
	t.Helper()
	need(t, "rpmbuild", "rpmkeys", "rpmsign")
	built, err := rpms()
	if err != nil {
		t.Fatal(err)
	}
	for kind, content := range built {
		t.Run(kind, func(t *testing.T) { test(t, write(t, "demo.rpm", content)) })
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// signedRPM is the path of the rpm at from, signed.
func signedRPM(t *testing.T, signer *Signer, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "signed", filepath.Base(from))
	if err := signer.RPM(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// rpm finds every signature and digest right, and without the signature has the
// file that was there before.
func TestRPM(t *testing.T) {
	s := stored(t)
	service, err := New(s.certificate(t, s.split), s.private(t, s.signing), at, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer := opened(t, Settings{Key: s.split})
	each(t, func(t *testing.T, path string) {
		signed := signedRPM(t, signer, path)
		if !bytes.Equal(read(t, signed), read(t, signedRPM(t, service, path))) {
			t.Error("gpg and a service sign differently")
		}
		if err := NewKeyring(signer.Certificate()).RPM(t.Context(), signed); err != nil {
			t.Error(err)
		}
		database := filepath.Join(t.TempDir(), "db")
		keys := write(t, "keys.asc", Armoured(signer.Certificate()))
		if out, err := output(t, ".", "rpmkeys", "--define", "_dbpath "+database, "--import", keys); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := output(t, ".", "rpmkeys", "--define", "_dbpath "+database, "--define", "_pkgverify_level all", "-Kv", signed)
		want := "Header V4 RSA/SHA512 Signature, key ID " + strings.ToLower(s.signing[32:]) + ": OK"
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("rpmkeys does not say %q: %v\n%s", want, err, out)
		}
		again := signedRPM(t, opened(t, Settings{Key: s.plain}), signed)
		if !bytes.Equal(read(t, again), read(t, signedRPM(t, opened(t, Settings{Key: s.plain}), path))) {
			t.Error("signed by another key, it is not as if signed by that key only")
		}
		if out, err := output(t, ".", "rpmsign", "--delsign", signed); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if !bytes.Equal(read(t, signed), read(t, path)) {
			t.Error("rpmsign --delsign leaves other bytes than were signed")
		}
	})
}

func TestDamagedRPM(t *testing.T) {
	s := stored(t)
	signer := opened(t, Settings{Key: s.split})
	ring := NewKeyring(s.certificate(t, s.split))
	each(t, func(t *testing.T, path string) {
		content := read(t, path)
		content[len(content)-1] ^= 1
		to := filepath.Join(t.TempDir(), "signed")
		wantError(t, signer.RPM(t.Context(), write(t, "x.rpm", content), to), "signing ", "x.rpm: checksum mismatch: the rpm's payload is not")
		if _, err := os.Stat(to); err == nil {
			t.Error("a damaged rpm is signed")
		}
		wantError(t, ring.RPM(t.Context(), path), "demo.rpm: it is not signed")

		good := read(t, signedRPM(t, signer, path))
		damage := func(at int) string {
			content := bytes.Clone(good)
			content[at] ^= 1
			return write(t, "x.rpm", content)
		}
		wantError(t, ring.RPM(t.Context(), damage(len(good)-1)), "the rpm's payload is not")
		header := bytes.LastIndex(good, []byte("It shows."))
		wantError(t, ring.RPM(t.Context(), damage(header)), "its content is not what the key "+s.signing)
		other := NewKeyring(s.certificate(t, s.plain))
		wantError(t, other.RPM(t.Context(), signedRPM(t, signer, path)), "signed by the key "+s.signing, "not by "+s.plain)
		wantError(t, ring.RPM(t.Context(), write(t, "x.rpm", []byte("text"))), "x.rpm: an rpm is cut short")
		// A digest that only rpm looks at.
		file, err := rpmfile.Read(good)
		if err != nil {
			t.Fatal(err)
		}
		digest := bytes.Index(good, fmt.Appendf(nil, "%x", sha1.Sum(file.Header())))
		wantError(t, ring.RPM(t.Context(), damage(digest)), "rpm refuses it: ", "Header SHA1 digest: BAD")
	})
}

// source makes a Debian source package, and gives the paths of .dsc and .changes.
func source(t *testing.T) (dsc, changes string) {
	t.Helper()
	need(t, "dpkg-source", "dpkg-genchanges")
	dir := t.TempDir()
	for name, content := range map[string]string{
		"source/format": "3.0 (native)\n",
		"control":       "Source: demo\nSection: net\nPriority: optional\nMaintainer: A <a@example.org>\n\nPackage: demo\nArchitecture: all\nDescription: shows\n It shows.\n",
		"changelog":     "demo (1) stable; urgency=medium\n\n  * One.\n\n -- A <a@example.org>  Thu, 23 Oct 2025 12:39:57 +0000\n",
	} {
		path := filepath.Join(dir, "demo-1", "debian", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []struct{ dir, line string }{
		{".", "dpkg-source --build demo-1"}, {"demo-1", "dpkg-genchanges --build=source -O../demo_1_source.changes"},
	} {
		words := strings.Fields(command.line)
		if out, err := output(t, filepath.Join(dir, command.dir), words[0], words[1:]...); err != nil {
			t.Fatalf("%s: %v\n%s", command.line, err, out)
		}
	}
	return filepath.Join(dir, "demo_1.dsc"), filepath.Join(dir, "demo_1_source.changes")
}

// dpkg unpacks the source by the signed .dsc, and dscverify, which the archive's
// users have, finds signatures and checksums right.
func TestSource(t *testing.T) {
	s := stored(t)
	dsc, changes := source(t)
	signer := opened(t, Settings{Key: s.split})
	dir := t.TempDir()
	signedDSC, signedChanges := filepath.Join(dir, filepath.Base(dsc)), filepath.Join(dir, filepath.Base(changes))
	if err := signer.DSC(t.Context(), dsc, signedDSC); err != nil {
		t.Fatal(err)
	}
	if err := signer.Changes(t.Context(), changes, signedChanges, signedDSC); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "demo_1.tar.xz"), read(t, filepath.Join(filepath.Dir(dsc), "demo_1.tar.xz")), 0o644); err != nil {
		t.Fatal(err)
	}
	content, err := NewKeyring(signer.Certificate()).Clear(read(t, signedDSC))
	if diff := cmp.Diff(string(read(t, dsc)), string(content)); diff != "" || err != nil {
		t.Errorf("what is signed in the .dsc (-want +got): %v\n%s", err, diff)
	}
	ring := write(t, "ring.gpg", signer.Public())
	for _, path := range []string{signedDSC, signedChanges} {
		if out, err := output(t, ".", "gpgv", "--keyring", ring, path); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	if out, err := output(t, dir, "dpkg-source", "-x", filepath.Base(signedDSC)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	need(t, "dscverify")
	for _, path := range []string{signedDSC, signedChanges} {
		if out, err := output(t, dir, "dscverify", "--no-default-keyrings", "--keyring", ring, filepath.Base(path)); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{signer.DSC(t.Context(), signedDSC, filepath.Join(dir, "x")), "it is signed already"},
		{signer.DSC(t.Context(), dsc+"-not-there", filepath.Join(dir, "x")), "not-there"},
		{signer.Changes(t.Context(), signedChanges, filepath.Join(dir, "x"), signedDSC), "it is signed already"},
		{signer.Changes(t.Context(), changes, filepath.Join(dir, "x"), dsc+"-not-there"), "not-there"},
		{signer.Changes(t.Context(), changes, filepath.Join(dir, "x"), changes), "does not list demo_1_source.changes"},
	} {
		wantError(t, test.err, "signing ", test.want)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("something was written")
	}
}

func TestSignFile(t *testing.T) {
	s := stored(t)
	signer := opened(t, Settings{Key: s.plain})
	sums := write(t, "SHA256SUMS", []byte("0123  file\n"))
	if err := signer.File(t.Context(), sums, sums+".asc"); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(read(t, sums+".asc"), []byte("-----BEGIN PGP SIGNATURE-----\n\n")) {
		t.Errorf("%s", read(t, sums+".asc"))
	}
	if out, err := output(t, ".", "gpgv", "--keyring", write(t, "ring.gpg", signer.Public()), sums+".asc", sums); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := NewKeyring(signer.Certificate()).Detached(bytes.NewReader(read(t, sums)), read(t, sums+".asc")); err != nil {
		t.Error(err)
	}
	wantError(t, signer.File(t.Context(), sums+"-not-there", sums+".asc"), "not-there")
}
