package format

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// archiveURL is where nobody listens.
const archiveURL = "http://127.0.0.1:1/spire"

// trusted looks like two public keys.
var trusted = pkgdef.Certificates{
	Binary:   []byte("\x99one\x99two"),
	Armoured: []byte(strings.Repeat("-----BEGIN PGP PUBLIC KEY BLOCK-----\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n", 2)),
	Raw:      map[string][]byte{strings.Repeat("1", 40) + ".rsa.pub": []byte("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n")},
}

var maker = pkgdef.Source{
	Name: "up", Release: 7, Homepage: "https://example.org/", Repository: "https://example.org/up",
	Maintainer: "Somebody <somebody@example.org>", Vendor: "somebody",
}

// ring is a small keyring package of the given format, from a repository of its
// own.
func ring(t *testing.T, format string) pkgdef.Keyring {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"package.yaml": "keyring: " + format + "\nversion: 2026.01.31\nchanges: \"Everything: new.\"\nsection: misc\nlicense: MIT\nsummary: keys of it\n" +
			"description: |\n  They open it.\n\n  All of it.\nkeys: /usr/share/keyrings/ring\nconfig:\n  - {file: ring.conf, path: /etc/ring/ring.conf}\n",
		"ring.conf":         "from @URL@ by /usr/share/keyrings/ring\n",
		"copyright":         "mine\n",
		"lintian-overrides": "# none\n",
	} {
		if format == pkgdef.RPM && name == "lintian-overrides" {
			continue
		}
		path := filepath.Join(root, "packages", "ring", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keyrings, err := pkgdef.LoadKeyrings(root)
	if err != nil || len(keyrings) != 1 {
		t.Fatalf("%d keyring packages, error %v", len(keyrings), err)
	}
	return keyrings[0]
}

func keyringItem(t *testing.T, k pkgdef.Keyring, url string, keys pkgdef.Certificates) Item {
	t.Helper()
	item, err := Keyring(k, maker, url, keys, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// realKeyring is the item of the one keyring package that this repository has
// for the format.
func realKeyring(t *testing.T, format string) Item {
	t.Helper()
	keyrings, err := pkgdef.LoadKeyrings(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keyrings {
		if k.Format == format {
			return keyringItem(t, k, archiveURL, trusted)
		}
	}
	t.Fatalf("there is none for %s", format)
	return Item{}
}

func TestKeyringDeb(t *testing.T) {
	need(t, "dpkg-deb")
	path := packaged(t, pkgdef.Deb, keyringItem(t, ring(t, pkgdef.Deb), archiveURL, trusted))
	if got := filepath.Base(path); got != "ring_2026.01.31-1_all.deb" {
		t.Errorf("name %s", got)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# control\n%s\n# contents\n", output(t, "dpkg-deb", "--field", path))
	for line := range strings.Lines(output(t, "dpkg-deb", "--contents", path)) {
		f := strings.Fields(line) // mode, owner, size, day, minute, path
		fmt.Fprintln(&b, f[0], f[1], f[3], f[4], strings.Join(f[5:], " "))
	}
	fmt.Fprintf(&b, "\n# postinst\n%s", output(t, "dpkg-deb", "--info", path, "postinst")) // and no conffiles
	root := t.TempDir()
	output(t, "dpkg-deb", "--extract", path, root)
	fmt.Fprintf(&b, "\n# changelog\n%s", output(t, "gzip", "-dc", filepath.Join(root, "usr/share/doc/ring/changelog.Debian.gz")))
	golden.Check(t, "ring.deb.golden", b.String())
}

func TestKeyringRPM(t *testing.T) {
	need(t, "rpm")
	path := packaged(t, pkgdef.RPM, keyringItem(t, ring(t, pkgdef.RPM), archiveURL, trusted))
	if got := filepath.Base(path); got != "ring-2026.01.31-1.noarch.rpm" {
		t.Errorf("name %s", got)
	}
	var b strings.Builder
	for _, query := range [][]string{{"--qf", rpmHeader}, {"--qf", rpmFiles}, {"--scripts"}, {"--requires"}, {"--provides"}, {"--changelog"}} {
		fmt.Fprintf(&b, "# %s\n%s\n", strings.TrimPrefix(query[0], "--qf"), output(t, "rpm", append([]string{"-qp", path}, query...)...))
	}
	golden.Check(t, "ring.rpm.golden", b.String())
	if out := output(t, "rpm", "--checksig", path); !strings.Contains(out, "digests OK") {
		t.Errorf("rpm --checksig says %q", out)
	}
}

// An apk has each key in a file of its own, where apk looks for it, and no scriptlets.
func TestKeyringAPK(t *testing.T) {
	path := packaged(t, pkgdef.APK, realKeyring(t, pkgdef.APK))
	if got := filepath.Base(path); !strings.HasPrefix(got, "spire-keys_") || !strings.HasSuffix(got, "-r1_noarch.apk") {
		t.Errorf("name %s", got)
	}
	m, err := Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"file /etc/apk/keys/" + strings.Repeat("1", 40) + ".rsa.pub", "file /etc/apk/repositories.d/spire.list"} {
		if m[want] == "" {
			t.Errorf("it has no %s", want)
		}
	}
	for item := range m {
		if strings.HasPrefix(item, "scriptlet ") || strings.HasPrefix(item, "depend ") {
			t.Errorf("it has %s", item)
		}
	}
}

// What is unpacked is what was put in, with the address and the keys.
func TestKeyringUnpacks(t *testing.T) {
	need(t, "dpkg-deb")
	need(t, "rpm2archive")
	for format, unpack := range map[string]func(path, root string){
		pkgdef.Deb: func(path, root string) { output(t, "dpkg-deb", "--extract", path, root) },
		pkgdef.RPM: func(path, root string) {
			output(t, "rpm2archive", path)
			output(t, "tar", "-xpzf", path+".tgz", "-C", root, "--no-same-owner")
		},
	} {
		item, root := realKeyring(t, format), t.TempDir()
		unpack(packaged(t, format, item), root)
		for _, entry := range item.Payload {
			checkInstalled(t, root, entry)
			if entry.Kind != pkgdef.Conf {
				continue
			}
			if content, err := os.ReadFile(filepath.Join(root, entry.Path)); err != nil || !bytes.Contains(content, []byte(archiveURL)) || bytes.Contains(content, []byte("@URL@")) {
				t.Errorf("%s does not name the archive, error %v:\n%s", entry.Path, err, content)
			}
		}
	}
}

// The real apt takes the real sources file, in binary and in source packages,
// and says nothing about it.
func TestKeyringApt(t *testing.T) {
	need(t, "apt-get")
	need(t, "dpkg-deb")
	root := t.TempDir()
	output(t, "dpkg-deb", "--extract", packaged(t, pkgdef.Deb, realKeyring(t, pkgdef.Deb)), root)
	for _, dir := range []string{"apt.conf.d", "preferences.d", "sources.list.d"} {
		if err := os.MkdirAll(filepath.Join(root, "etc/apt", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	output(t, "cp", filepath.Join(root, "usr/share/spire-archive-keyring/spire.sources"), filepath.Join(root, "etc/apt/sources.list.d"))
	output(t, "cp", filepath.Join(root, "usr/share/spire-archive-keyring/spire.pref"), filepath.Join(root, "etc/apt/preferences.d"))
	config := filepath.Join(root, "apt.conf")
	if err := os.WriteFile(config, []byte("Dir \""+root+"\";\nDir::State::status \"/dev/null\";\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("apt-get", "update", "--print-uris")
	cmd.Env = append(os.Environ(), "APT_CONFIG="+config, "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 || !strings.Contains(out.String(), "'"+archiveURL+"/apt/dists/stable/InRelease'") {
		t.Errorf("error %v\n%s%s", err, &out, &errs)
	}
}

// Where and when the package is made does not show in it.
func TestKeyringReproducible(t *testing.T) {
	for _, format := range Names() {
		before := written(t, format, keyringItem(t, ring(t, format), archiveURL, trusted))
		processors, umask, zone := runtime.GOMAXPROCS(1), syscall.Umask(0o077), time.Local
		time.Local = time.FixedZone("somewhere", 5*3600)
		after := written(t, format, keyringItem(t, ring(t, format), archiveURL, trusted))
		runtime.GOMAXPROCS(processors)
		syscall.Umask(umask)
		time.Local = zone
		if !bytes.Equal(before, after) {
			t.Errorf("%s: %d and %d bytes that differ", format, len(before), len(after))
		}
	}
}

// Whatever changes the package changes its key.
func TestKeyringKey(t *testing.T) {
	for _, format := range Names() {
		same := keyringItem(t, ring(t, format), archiveURL, trusted)
		before, key := written(t, format, same), keyOf(t, format, same)
		for name, item := range map[string]func() Item{
			"nothing": func() Item { return keyringItem(t, ring(t, format), archiveURL, trusted) },
			"address": func() Item { return keyringItem(t, ring(t, format), archiveURL+"2", trusted) },
			"keys": func() Item {
				one := trusted
				one.Binary, one.Armoured = one.Binary[:4], one.Armoured[:len(one.Armoured)/2]
				return keyringItem(t, ring(t, format), archiveURL, one)
			},
			"version": func() Item {
				k := ring(t, format)
				k.Version = "2026.02.01"
				return keyringItem(t, k, archiveURL, trusted)
			},
			"changes": func() Item {
				k := ring(t, format)
				k.Changes = "Another."
				return keyringItem(t, k, archiveURL, trusted)
			},
		} {
			item := item()
			if want := name == "nothing"; bytes.Equal(before, written(t, format, item)) != want || (key == keyOf(t, format, item)) != want {
				t.Errorf("%s, %s: bytes or key do not follow", format, name)
			}
		}
	}
}

func TestKeyringFails(t *testing.T) {
	k := ring(t, pkgdef.Deb)
	if _, err := Keyring(k, maker, "http://example.org", trusted, t.TempDir()); err == nil || !strings.Contains(err.Error(), "filling in ring") {
		t.Errorf("a plain address: error %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Keyring(k, maker, archiveURL, trusted, file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a folder that is a file: error %v", err)
	}
}
