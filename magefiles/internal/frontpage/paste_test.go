package frontpage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// pastes are the blocks as a reader gets them.
func pastes(t *testing.T, s Site) map[string]string {
	t.Helper()
	found, err := Pastes(written(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPastes(t *testing.T) {
	s := site(t)
	got := pastes(t, s)
	want, err := s.pastes()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the page has other lines than were put there (-want +got):\n%s", diff)
	}
	var all strings.Builder
	for _, id := range slices.Sorted(maps.Keys(got)) {
		fmt.Fprintf(&all, "# %s\n%s\n\n", id, got[id])
	}
	golden.Check(t, "pastes.golden", all.String())
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if !run.Have(program) {
			t.Skipf("%s is not installed", program)
		}
	}
}

func TestSyntax(t *testing.T) {
	for id, lines := range pastes(t, rotating(t)) {
		command := run.New("sh", "-n")
		command.Stdin = strings.NewReader(lines)
		if out, err := command.Combined(t.Context()); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", id, err, out)
		}
	}
}

func TestShellcheck(t *testing.T) {
	need(t, "shellcheck")
	for id, lines := range pastes(t, rotating(t)) {
		command := run.New("shellcheck", "--shell=sh", "-")
		command.Stdin = strings.NewReader(lines + "\n")
		if out, err := command.Combined(t.Context()); err != nil {
			t.Errorf("%s: %v\n%s", id, err, out)
		}
	}
}

// A shell reads a block to its end before it runs any of it: a program that
// reads its input cannot take the lines that come after its own.
func TestBlocksAreOneCommand(t *testing.T) {
	for id, lines := range pastes(t, site(t)) {
		whole := strings.HasPrefix(lines, "(set -e") && strings.HasSuffix(lines, ")")
		chained := strings.Count(lines, " &&\n") == strings.Count(lines, "\n")
		if !whole && !chained {
			t.Errorf("%s is several commands:\n%s", id, lines)
		}
	}
}

// archive is what a web host serves, with the keys that sign it.
type archive struct {
	url       string
	root      string // of what is served; a test may change it
	good, bad string // fingerprints: the archive's key, and somebody else's
	badSub    string // a subkey of somebody else's
	home      string
}

// newArchive serves checksums, and what they are signed with.
func newArchive(t *testing.T) *archive {
	t.Helper()
	need(t, "gpg", "gpgv", "gpgconf", "curl", "sha256sum")
	home, err := os.MkdirTemp("", "g") // short: a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{root: t.TempDir(), home: home}
	t.Cleanup(func() {
		// The test's context has ended by now.
		err := run.New("gpgconf", "--homedir", home, "--kill", "all").Run(context.WithoutCancel(t.Context()))
		if err := errors.Join(err, os.RemoveAll(home)); err != nil {
			t.Error(err)
		}
	})
	a.good, a.bad = a.generate(t, "Archive"), a.generate(t, "Somebody Else")
	a.gpg(t, "", "--quick-add-key", a.bad, "rsa2048", "sign", "1y")
	a.badSub = a.fingerprints(t, a.bad)[1]
	server := httptest.NewServer(http.FileServerFS(os.DirFS(a.root)))
	t.Cleanup(server.Close)
	a.url = server.URL
	a.publish(t, a.good)
	return a
}

func (a *archive) gpg(t *testing.T, input string, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	command := run.New("gpg", append([]string{"--homedir", a.home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	command.Stdin, command.Stdout = strings.NewReader(input), &out
	if err := command.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// generate makes a key and returns its fingerprint.
func (a *archive) generate(t *testing.T, name string) string {
	t.Helper()
	a.gpg(t, "", "--quick-gen-key", name, "rsa2048", "sign", "1y")
	return a.fingerprints(t, "="+name)[0]
}

// fingerprints are those of a key and of its subkeys.
func (a *archive) fingerprints(t *testing.T, key string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(string(a.gpg(t, "", "--with-colons", "--list-keys", key))) {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			found = append(found, fields[9])
		}
	}
	return found
}

// hostile is what a host that somebody else has taken over may serve: our
// certificate, their subkey hung on it, and theirs.
func (a *archive) hostile(t *testing.T) []byte {
	t.Helper()
	ours, theirs := a.gpg(t, "", "--export", a.good), a.gpg(t, "", "--export", a.bad)
	return slices.Concat(ours, fromSubkey(t, theirs), theirs)
}

// fromSubkey are a certificate's packets from its first subkey on. gpg writes
// packets with headers of the legacy format (RFC 9580, section 4.2.2).
func fromSubkey(t *testing.T, certificate []byte) []byte {
	t.Helper()
	const subkey = 14
	for rest := certificate; len(rest) > 3; {
		if rest[0]>>2&0xf == subkey {
			return rest
		}
		size := 2 + int(rest[1])
		if rest[0]&3 == 1 {
			size = 3 + int(rest[1])<<8 + int(rest[2])
		}
		rest = rest[size:]
	}
	t.Fatal("the certificate has no subkey")
	return nil
}

const (
	downloaded  = "spire-agent_1.13.3-2_amd64.deb"
	certificate = "spire-archive-keyring.asc" // on the host
	sums        = "files/1.13.3-2/SHA256SUMS"
)

// serve puts a file on the host, or takes it away if the content is nil.
func (a *archive) serve(t *testing.T, path string, content []byte) {
	t.Helper()
	path = filepath.Join(a.root, filepath.FromSlash(path))
	if content != nil {
		writeFile(t, path, string(content))
	} else if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// publish signs the checksums by a key.
func (a *archive) publish(t *testing.T, by string) {
	t.Helper()
	sum := sha256.Sum256([]byte("the package"))
	list := hex.EncodeToString(sum[:]) + "  " + downloaded + "\n" + strings.Repeat("0", 64) + "  not-downloaded.deb\n"
	a.serve(t, sums, []byte(list))
	a.serve(t, sums+".asc", a.gpg(t, list, "--armor", "--local-user", by, "--detach-sign"))
	a.serve(t, certificate, a.gpg(t, "", "--armor", "--export", a.good))
}

// site is the archive's page: it names the good key only.
func (a *archive) site(t *testing.T) Site {
	t.Helper()
	s := site(t)
	s.URL, s.Sources, s.Keys = a.url, sources(t, a.url), []Key{{Fingerprint: a.good}}
	return s
}

// paste runs a block in dir as a shell of root would, one that keeps files to
// itself, with the given folders before those of PATH, and with a temporary
// folder of its own.
func paste(t *testing.T, lines, dir string, path ...string) (out, temp string, err error) {
	t.Helper()
	if temp, err = os.MkdirTemp("", "p"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	command := run.New("sh", "-c", "umask 077\n"+lines).In(dir).WithEnv(
		"TMPDIR="+temp, "HOME="+temp, "PATH="+strings.Join(append(path, os.Getenv("PATH")), ":"))
	out, err = command.Combined(t.Context())
	return out, temp, err
}

// The lines for downloads by hand, by the real gpg, gpgv, curl and sha256sum.
func TestVerify(t *testing.T) {
	a := newArchive(t)
	lines := pastes(t, a.site(t))["verify"]
	for name, test := range map[string]struct {
		content string // of the file that was downloaded
		spoil   func()
		want    string // what must be said; empty if all is well
	}{
		"good":              {"the package", func() {}, ""},
		"flipped byte":      {"the packagE", func() {}, "did NOT match"},
		"changed checksums": {"the package", func() { a.serve(t, sums, []byte("other")) }, "BAD signature"},
		"signed by others":  {"the package", func() { a.publish(t, a.bad) }, "No public key"},
		"by a key beside":   {"the package", func() { a.publish(t, a.bad); a.serve(t, certificate, a.hostile(t)) }, "No public key"},
		"by a foreign part": {"the package", func() { a.publish(t, a.badSub+"!"); a.serve(t, certificate, a.hostile(t)) }, "No public key"},
		"no signature":      {"the package", func() { a.serve(t, sums+".asc", nil) }, "404"},
		"no keys":           {"the package", func() { a.serve(t, certificate, nil) }, "404"},
		"nothing of it":     {"", func() {}, "no file was verified"},
	} {
		t.Run(name, func(t *testing.T) {
			a.publish(t, a.good)
			test.spoil()
			dir := t.TempDir()
			if test.content != "" {
				writeFile(t, filepath.Join(dir, downloaded), test.content)
			}
			out, temp, err := paste(t, lines, dir)
			if (err == nil) != (test.want == "") || !strings.Contains(out, test.want) {
				t.Errorf("%v, want %q in\n%s", err, test.want, out)
			}
			if left, _ := os.ReadDir(temp); test.want == "" && len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err = errors.Join(err, os.WriteFile(path, []byte(content), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// What becomes trusted is our certificate alone, whatever the host serves. The package managers are stand-ins that note how they were
// called; the suite runs the same lines with the real ones.
func TestOnlyTheNamedKeyIsTaken(t *testing.T) {
	a := newArchive(t)
	a.serve(t, certificate, a.hostile(t))
	for id, trusted := range map[string]string{
		"setup-apt":    "/usr/share/keyrings/spire-archive-keyring.gpg",
		"setup-dnf":    "/imported",
		"setup-zypper": "/imported",
	} {
		t.Run(id, func(t *testing.T) {
			root := t.TempDir()
			out, err := a.setUp(t, id, root)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			// Once more, as somebody may.
			if out, err := a.setUp(t, id, root); err != nil {
				t.Errorf("the second time: %v\n%s", err, out)
			}
			wantReadable(t, filepath.Join(root, trusted))
			a.wantOnlyOurs(t, filepath.Join(root, trusted))
		})
	}
}

// wantOnlyOurs wants a keyring to hold our certificate and nothing else, not
// even a part that gpg would overlook: rpm was once less careful (CVE-2021-3521).
func (a *archive) wantOnlyOurs(t *testing.T, keyring string) {
	t.Helper()
	keys := string(a.gpg(t, "", "--with-colons", "--show-keys", keyring))
	packets := string(a.gpg(t, "", "--list-packets", keyring))
	one := strings.Count(packets, "public key packet:") == 1 && !strings.Contains(packets, "sub key packet:")
	if !one || !strings.Contains(keys, a.good) {
		t.Errorf("trusted from now on:\n%s%s", keys, packets)
	}
}

// wantReadable wants apt, which reads keys and sources as a user of its own, to
// be able to.
func wantReadable(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o444 != 0o444 {
		t.Errorf("%s has mode %o", path, mode)
	}
}

// Nothing is installed, nor trusted, when the key is not there.
func TestStopsWithoutTheKey(t *testing.T) {
	a := newArchive(t)
	for what, spoil := range map[string]func(){
		"other key": func() { a.serve(t, certificate, a.gpg(t, "", "--armor", "--export", a.bad)) },
		"no key":    func() { a.serve(t, certificate, nil) },
		"not a key": func() { a.serve(t, certificate, []byte("x")) },
	} {
		for _, id := range []string{"setup-apt", "setup-dnf", "setup-zypper"} {
			t.Run(what+" "+id, func(t *testing.T) {
				a.publish(t, a.good)
				spoil()
				root := t.TempDir()
				out, err := a.setUp(t, id, root)
				if err == nil || !strings.Contains(out, "gpg: ") && !strings.Contains(out, "curl: ") {
					t.Errorf("%v\n%s", err, out)
				}
				for _, trusted := range []string{"imported", "etc/apt/sources.list.d/spire.sources", "installed"} {
					if _, err := os.Stat(filepath.Join(root, trusted)); err == nil {
						t.Errorf("there is %s nevertheless\n%s", trusted, out)
					}
				}
			})
		}
	}
}

// setUp runs one of the setup blocks in the folder root as if it were the root.
func (a *archive) setUp(t *testing.T, id, root string) (string, error) {
	t.Helper()
	lines := pastes(t, a.site(t))[id]
	for _, place := range []string{"/usr/share/keyrings", "/etc/apt/sources.list.d"} {
		if err := os.MkdirAll(filepath.Join(root, place), 0o755); err != nil {
			t.Fatal(err)
		}
		lines = strings.ReplaceAll(lines, ">"+place, ">"+root+place)
	}
	bin := filepath.Join(root, "bin")
	for _, program := range []string{"apt-get", "dnf", "zypper"} {
		writeFile(t, filepath.Join(bin, program), "#!/bin/sh\ncase \"$*\" in *spire*) echo \"$0 $*\" >>"+root+"/installed ;; esac\n")
	}
	writeFile(t, filepath.Join(bin, "rpm"), "#!/bin/sh\n[ \"$1\" = --import ] && cp \"$2\" "+root+"/imported\n")
	out, _, err := paste(t, lines, root, bin)
	return out, err
}

// dnf moves over what is there and leaves the other package away, which takes the
// same one's place. It is never asked to upgrade everything.
func TestMoveWithDNF(t *testing.T) {
	lines := pastes(t, site(t))["move-dnf"]
	for installed, want := range map[string]string{
		"spire-agent spire-server": "-y upgrade spire-release spire-agent spire-server\n",
		"spire-agent":              "-y upgrade spire-release spire-agent --exclude=spire-server\n",
		"spire-server":             "-y upgrade spire-release --exclude=spire-agent spire-server\n",
		"":                         "-y upgrade spire-release --exclude=spire-agent --exclude=spire-server\n",
	} {
		bin := t.TempDir()
		writeFile(t, filepath.Join(bin, "rpm"), "#!/bin/sh\n[ \"$1 $2\" = '-q --quiet' ] || exit 2\ncase ' "+installed+" ' in *\" $3 \"*) ;; *) exit 1 ;; esac\n")
		writeFile(t, filepath.Join(bin, "dnf"), "#!/bin/sh\necho \"$@\"\n")
		if out, _, err := paste(t, lines, t.TempDir(), bin); err != nil || out != want {
			t.Errorf("with %q: %q, want %q, error %v", installed, out, want, err)
		}
	}
}

// dpkg asks when a package brings a file that is there with other content.
func TestSourcesAreThePackages(t *testing.T) {
	a := newArchive(t)
	root := t.TempDir()
	if out, err := a.setUp(t, "setup-apt", root); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := filepath.Join(root, "etc/apt/sources.list.d/spire.sources")
	wantReadable(t, path)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sources(t, a.url), string(got)); diff != "" {
		t.Errorf("the package has another file (-package +page):\n%s", diff)
	}
}

// Before the main source is published, the page is about another one.
func TestOtherSourceFirst(t *testing.T) {
	s := site(t)
	s.Versions = s.Versions[3:]
	page := string(written(t, s))
	pastes, err := Pastes([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		"install-apt": "apt-get install -y spiffe-helper", "rebuild-apt": "apt-get source spiffe-helper=0.11.0-1\ncd spiffe-helper-0.11.0\n",
		"rebuild-dnf": "dnf download --source spiffe-helper-0.11.0-1\n", "verify": "/files/spiffe-helper-0.11.0-1/SHA256SUMS\n",
	} {
		if !strings.Contains(pastes[id], want) {
			t.Errorf("%s lacks %q:\n%s", id, want, pastes[id])
		}
	}
	if strings.Count(page, `<h3 id="vspiffe-helper-`) != 2 {
		t.Error("it does not show both versions once")
	}
}
