package repo

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/google/rpmpack"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// day is the first day of the tests' calendar.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func days(n int) time.Time { return day.Add(time.Duration(n) * 24 * time.Hour) }

// needs skips a test that cannot run here.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	if err := tool.Need(append(append(programs, "rpmbuild"), Tools()...)...); err != nil {
		t.Skip(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair signs and verifies with an RSA key of its own, at one time.
type pair struct{ entity *openpgp.Entity }

func (k pair) config() *packet.Config {
	no := false
	return &packet.Config{
		RSABits: 2048, Algorithm: packet.PubKeyAlgoRSA, DefaultHash: crypto.SHA512,
		Time: func() time.Time { return day }, NonDeterministicSignaturesViaNotation: &no,
	}
}

// Detached is a binary signature.
func (k pair) Detached(_ context.Context, message io.Reader) ([]byte, error) {
	var signature bytes.Buffer
	err := openpgp.DetachSign(&signature, k.entity, message, k.config())
	return signature.Bytes(), err
}

// Clear is text with its signature.
func (k pair) Clear(_ context.Context, text []byte) ([]byte, error) {
	var signed bytes.Buffer
	w, err := clearsign.Encode(&signed, k.entity.PrivateKey, k.config())
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	signed.WriteByte('\n')
	return signed.Bytes(), err
}

// Raw is a bare signature.
func (k pair) Raw(_ context.Context, content []byte) ([]byte, error) {
	digest := sha512.Sum512(content)
	return rsa.SignPKCS1v15(nil, k.entity.PrivateKey.PrivateKey.(*rsa.PrivateKey), crypto.SHA512, digest[:])
}

// RawKey is its file.
func (k pair) RawKey() string { return "ours.rsa.pub" }

// trust verifies by one key.
type trust struct{ key pair }

// Detached verifies a signature, binary or armoured.
func (k trust) Detached(content io.Reader, signature []byte) error {
	check := openpgp.CheckDetachedSignature
	if bytes.HasPrefix(signature, []byte("-----BEGIN")) {
		check = openpgp.CheckArmoredDetachedSignature
	}
	_, err := check(openpgp.EntityList{k.key.entity}, content, bytes.NewReader(signature), k.key.config())
	return err
}

// Clear verifies a text with its signature.
func (k trust) Clear(text []byte) ([]byte, error) {
	block, rest := clearsign.Decode(text)
	if block == nil || len(rest) > 0 {
		return nil, errors.New("openpgp: it is no signed text, or has more behind it")
	}
	_, err := block.VerifySignature(openpgp.EntityList{k.key.entity}, k.key.config())
	return block.Plaintext, err
}

// Raw verifies a bare signature.
func (k trust) Raw(key string, content, signature []byte) error {
	digest := sha512.Sum512(content)
	if key != k.key.RawKey() {
		return fmt.Errorf("it is signed by %s", key)
	}
	return rsa.VerifyPKCS1v15(&k.key.entity.PrivateKey.PrivateKey.(*rsa.PrivateKey).PublicKey, crypto.SHA512, digest[:], signature)
}

// APK takes all: there are none.
func (k trust) APK(context.Context, string) error { return nil }

// RPM looks for a signature only: verifying rpms is another package's.
func (k trust) RPM(_ context.Context, file string) error {
	content, err := os.ReadFile(file)
	if err == nil && !bytes.Contains(content, []byte(fakeSignature)) {
		err = fmt.Errorf("%s: it is not signed", file)
	}
	return err
}

const fakeSignature = "a signature, as it were"

func newKey(t testing.TB) pair {
	t.Helper()
	entity, err := openpgp.NewEntity("Archive", "", "archive@example.org", pair{}.config())
	must(t, err)
	return pair{entity}
}

// ours is the key of most tests.
var ours = sync.OnceValue(func() pair {
	entity, err := openpgp.NewEntity("Archive", "", "archive@example.org", pair{}.config())
	if err != nil {
		panic(err)
	}
	return pair{entity}
})

// secretFile is a file with our secret key, for a process that is killed.
func secretFile(t testing.TB) string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "key")
	file, err := os.Create(secret)
	must(t, err)
	must(t, ours().entity.SerializePrivate(file, ours().config()))
	must(t, file.Close())
	return secret
}

func newRepository(t testing.TB) Repository {
	t.Helper()
	return repositoryIn(filepath.Join(t.TempDir(), "dist", "repo"), ours())
}

func repositoryIn(dir string, k pair) Repository {
	return Repository{
		Dir: dir, Origin: "SPIRE packages", Description: "SPIRE for tests", Source: "spire", Public: "example.org/log",
		Names:  []string{"spire", "spire-agent", "spire-server", "spire-archive-keyring", "spire-release"},
		Signer: k, Trusted: trust{k}, Log: io.Discard,
		Keys: map[string][]byte{"spire-archive-keyring.gpg": k.public()},
	}
}

func (k pair) public() []byte {
	var binary bytes.Buffer
	if err := k.entity.Serialize(&binary); err != nil {
		panic(err)
	}
	return binary.Bytes()
}

// pages show the state.
func pages(_ context.Context, l ledger.Ledger) (map[string][]byte, error) {
	var text bytes.Buffer
	for _, f := range l.Files {
		fmt.Fprintln(&text, f.Path)
	}
	all := map[string][]byte{}
	for _, name := range layout.Pages {
		all[name] = text.Bytes()
	}
	for _, name := range layout.Said(l) {
		all[name] = ledger.Encode([]any{name, l.Assessed, l.Attested})
	}
	return all, nil
}

func publish(t testing.TB, r Repository, now time.Time, files ...string) Report {
	t.Helper()
	report, err := r.Publish(t.Context(), Publication{Files: files, Now: now, Pages: pages})
	must(t, err)
	return report
}

// publishFails is the error of a publication that must not change a thing.
func publishFails(t *testing.T, r Repository, now time.Time, files ...string) string {
	t.Helper()
	before := snapshot(t, r.Dir)
	_, err := r.Publish(t.Context(), Publication{Files: files, Now: now, Pages: pages})
	if err == nil {
		t.Fatal("no error")
	}
	if diff := difference(before, snapshot(t, r.Dir)); diff != "" {
		t.Errorf("a publication that failed has changed\n%s", diff)
	}
	return err.Error()
}

// snapshot is every file of a tree with its mode, time and content.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || entry.IsDir() {
			files[name] = info.Mode().String()
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = info.Mode().String() + " " + info.ModTime().UTC().Format(time.RFC3339Nano) + " " + sum(content)
		return err
	})
	if os.IsNotExist(err) {
		return nil
	}
	must(t, err)
	return files
}

// difference is what two snapshots do not have in common, a line each.
func difference(a, b map[string]string) string {
	var lines []string
	for name := range a {
		if a[name] != b[name] {
			lines = append(lines, fmt.Sprintf("%s: %q, then %q", name, a[name], b[name]))
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			lines = append(lines, fmt.Sprintf("%s: new, %q", name, b[name]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

// folder writes files to publish.
type folder struct {
	testing.TB
	dir   string
	files []string
}

func (f *folder) add(name string, content []byte) {
	f.Helper()
	file := filepath.Join(f.dir, name)
	must(f, os.WriteFile(file, content, 0o600))
	f.files = append(f.files, file)
}

// signed is the folder of a signed version, as the build and the signing leave
// it, with everything in it that is published.
func signed(t testing.TB, version string, release int) []string {
	t.Helper()
	f := &folder{TB: t, dir: t.TempDir()}
	label := fmt.Sprintf("%s-%d", version, release)
	for _, pkg := range []string{"spire-agent", "spire-server"} {
		for _, arch := range []string{"amd64", "arm64"} {
			deb := fmt.Sprintf("%s_%s_%s.deb", pkg, label, arch)
			f.add(deb, makeDeb(t, pkg, label, arch, "spire"))
			f.add(deb+".cdx.json", []byte(`{"describes": "`+deb+`"}`))
		}
		for _, arch := range []string{"aarch64", "x86_64"} {
			f.add(fmt.Sprintf("%s-%s.%s.rpm", pkg, label, arch), makeRPM(t, pkg, version, release, arch, "spire-"+label+".src.rpm"))
		}
	}
	f.add("spire-"+label+".src.rpm", makeSourceRPM(t, version, release))
	parts := []string{"spire_" + version + ".orig.tar.xz", "spire_" + version + ".orig-vendor.tar.xz", "spire_" + label + ".debian.tar.xz"}
	for _, part := range parts {
		f.add(part, []byte("archive "+part))
	}
	f.add("spire_"+label+".dsc", makeDSC(f.dir, label, parts))
	f.add("spire_"+label+"_source.changes", []byte("changes "+label))
	f.add("spire_"+label+"_amd64.build.json", []byte("{}"))
	f.add("spire_"+label+"_amd64.buildinfo", []byte("buildinfo "+label))
	f.add("spire_"+label+".intoto.json", []byte("{}"))
	return f.sums()
}

// sums adds the checksums and their signature.
func (f *folder) sums() []string {
	f.Helper()
	var list bytes.Buffer
	for _, file := range f.files {
		content, err := os.ReadFile(file)
		must(f, err)
		fmt.Fprintf(&list, "%s  %s\n", sum(content), filepath.Base(file))
	}
	f.add("SHA256SUMS", list.Bytes())
	f.add("SHA256SUMS.asc", []byte("signature over "+sum(list.Bytes())))
	return f.files
}

// keyring are the keyring packages of one version.
func keyring(t testing.TB, version string) []string {
	t.Helper()
	f := &folder{TB: t, dir: t.TempDir()}
	f.add("spire-archive-keyring_"+version+"-1_all.deb", makeDeb(t, "spire-archive-keyring", version+"-1", "all", ""))
	f.add("spire-release-"+version+"-1.noarch.rpm", makeRPM(t, "spire-release", version, 1, "noarch", "spire-release-"+version+"-1.src.rpm"))
	return f.sums()
}

// makeDeb is a small deb.
func makeDeb(t testing.TB, pkg, version, arch, source string) []byte {
	t.Helper()
	return makeDebOf(t, pkg, version, arch, source, pkg+version+arch)
}

// makeDebOf is a deb with a file of the given content.
func makeDebOf(t testing.TB, pkg, version, arch, source, content string) []byte {
	t.Helper()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nSection: net\nMaintainer: Nobody <nobody@example.org>\nDescription: small\n for tests\n", pkg, version, arch)
	if source != "" {
		control += "Source: " + source + "\n"
	}
	var deb bytes.Buffer
	deb.WriteString("!<arch>\n")
	for _, member := range []struct {
		name    string
		content []byte
	}{
		{"debian-binary", []byte("2.0\n")},
		// Not packed: another Go would pack them into other bytes.
		{"control.tar", makeTar(t, "control", control)},
		{"data.tar", makeTar(t, "usr/bin/"+pkg, content)},
	} {
		fmt.Fprintf(&deb, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", member.name, day.Unix(), 0, 0, 0o100644, len(member.content))
		deb.Write(member.content)
		if len(member.content)%2 == 1 {
			deb.WriteByte('\n')
		}
	}
	return deb.Bytes()
}

func makeTar(t testing.TB, name, content string) []byte {
	t.Helper()
	var plain bytes.Buffer
	archive := tarball.New(&plain, day)
	must(t, archive.Bytes(name, 0o755, []byte(content)))
	must(t, archive.Close())
	return plain.Bytes()
}

// makeRPM is a small binary rpm that says it is signed.
func makeRPM(t testing.TB, pkg, version string, release int, arch, source string) []byte {
	t.Helper()
	rpm, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: pkg, Version: version, Release: fmt.Sprint(release), Arch: arch, Summary: fakeSignature,
		Description: "for tests", Licence: "Apache-2.0", BuildTime: day,
	})
	must(t, err)
	rpm.AddFile(rpmpack.RPMFile{Name: "/usr/bin/" + pkg, Body: []byte(pkg + version + arch), Mode: 0o755, Owner: "root", Group: "root", MTime: uint32(day.Unix())})
	rpm.AddCustomTag(1044, rpmpack.EntryString(source)) // SOURCERPM
	var content bytes.Buffer
	must(t, rpm.Write(&content))
	return content.Bytes()
}

// makeSourceRPM is a small source rpm that says it is signed.
func makeSourceRPM(t testing.TB, version string, release int) []byte {
	t.Helper()
	dir := t.TempDir()
	spec := filepath.Join(dir, "spire.spec")
	text := fmt.Sprintf("Name: spire\nVersion: %s\nRelease: %d\nSummary: %s\nLicense: Apache-2.0\n%%description\nfor tests\n", version, release, fakeSignature)
	must(t, os.WriteFile(spec, []byte(text), 0o600))
	must(t, run.New("rpmbuild", "-bs", "--quiet", "--define", "_topdir "+dir, spec).WithEnv("SOURCE_DATE_EPOCH=1", "HOME="+dir).Run(t.Context()))
	content, err := os.ReadFile(filepath.Join(dir, "SRPMS", fmt.Sprintf("spire-%s-%d.src.rpm", version, release)))
	must(t, err)
	return content
}

func makeDSC(dir, label string, parts []string) []byte {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Format: 3.0 (quilt)\nSource: spire\nBinary: spire-agent, spire-server\nArchitecture: amd64 arm64\nVersion: %s\nMaintainer: Nobody <nobody@example.org>\nChecksums-Sha256:\n", label)
	for _, part := range parts {
		content, _ := os.ReadFile(filepath.Join(dir, part))
		fmt.Fprintf(&text, " %s %d %s\n", sum(content), len(content), part)
	}
	text.WriteString("Files:\n")
	for _, part := range parts {
		content, _ := os.ReadFile(filepath.Join(dir, part))
		fmt.Fprintf(&text, " %032x %d %s\n", 0, len(content), part)
	}
	return text.Bytes()
}

// named is the file of that name among files.
func named(t testing.TB, files []string, name string) string {
	t.Helper()
	i := slices.IndexFunc(files, func(file string) bool { return path.Base(file) == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return files[i]
}
