package apkindex

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile/apkfiletest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/index"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/tree"
)

// day is that of the first publication.
var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// door signs and verifies bare signatures by a key of the given name.
type door struct {
	name string
	key  *rsa.PrivateKey
	index.Signer
	index.Trusted
}

func newDoor(name string) door {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return door{name: name, key: key}
}

var ours, theirs = sync.OnceValue(func() door { return newDoor("ours.rsa.pub") }), sync.OnceValue(func() door { return newDoor("ours.rsa.pub") })

type signer struct{ door }

func (s signer) RawKey() string { return s.name }

func (s signer) Raw(_ context.Context, content []byte) ([]byte, error) {
	digest := sha512.Sum512(content)
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA512, digest[:])
}

func (s signer) Detached(context.Context, io.Reader) ([]byte, error) { panic("it is not asked") }
func (s signer) Clear(context.Context, []byte) ([]byte, error)       { panic("it is not asked") }

type trust struct{ door }

func (t trust) Raw(key string, content, signature []byte) error {
	digest := sha512.Sum512(content)
	if key != t.name {
		return fmt.Errorf("it is signed by %s", key)
	}
	return rsa.VerifyPKCS1v15(&t.key.PublicKey, crypto.SHA512, digest[:], signature)
}

func (t trust) APK(context.Context, string) error { return nil }
func (t trust) RPM(context.Context, string) error { panic("it is not asked") }
func (t trust) Detached(io.Reader, []byte) error  { panic("it is not asked") }
func (t trust) Clear([]byte) ([]byte, error)      { panic("it is not asked") }

// served is a repository with a version of two packages, made at a time and signed by a
// key, and where it is served.
func served(t *testing.T, version string, at time.Time, by door) (dir string, from host.Host) {
	t.Helper()
	dir = t.TempDir()
	state := index.State{
		Tree: tree.Tree{Dir: dir, At: at}, Origin: "SPIRE packages", Log: io.Discard,
		Signing: index.Signing{Signer: signer{by}, Trusted: trust{by}}, Ledger: ledger.Ledger{Published: at},
	}
	for _, one := range [][2]string{{"spire-agent", "x86_64"}, {"spire-agent-extras", "noarch"}} {
		publish(t, &state, one[0], version, one[1])
	}
	made, err := Index.Make(t.Context(), state)
	for _, step := range made.Steps {
		if err == nil {
			err = step.Do()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	from, err = host.New(server.URL, host.Patience{Attempts: 1, Stall: time.Minute}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return dir, from
}

// publish does for a package what a publication does.
func publish(t *testing.T, s *index.State, pkg, version, arch string) {
	t.Helper()
	content := apkfiletest.Bytes(t, apkfiletest.Package(t, pkg, version+"-r1", arch, pkg+version))
	f := &index.File{From: filepath.Join(t.TempDir(), pkg+"_"+version+"-r1_"+arch+suffix), Source: pkg}
	var err error
	if f.Name, _, err = Index.Forms[0].Parse(f.Base()); err == nil {
		err = os.WriteFile(f.From, content, 0o644)
	}
	if err == nil {
		err = Index.Inspect(t.Context(), []*index.File{f}, s.Trusted)
	}
	if err != nil || f.Source != "up" {
		t.Fatalf("of the source %q: %v", f.Source, err)
	}
	digest := artifact.DigestBytes(f.Record)
	files := map[string][]byte{ledger.RecordPath(digest): f.Record}
	for _, folder := range Index.Folders(f.Name, f.Source) {
		place := folder + "/" + Base(f.Name)
		files[place] = content
		s.Ledger.Files = append(s.Ledger.Files, ledger.File{Path: place, Record: digest})
	}
	for name, content := range files {
		if err := artifact.WriteBytes(s.Path(name), 0o644, content); err != nil {
			t.Fatal(err)
		}
	}
}

const head = "apk/x86_64/APKINDEX.tar.gz"

// What was published is what is found, at the machines that it is for.
func TestIndex(t *testing.T) {
	_, from := served(t, "1.2.3", day, ours())
	for arch, want := range map[string]string{
		"x86_64":  "apk/x86_64/spire-agent-1.2.3-r1.apk spire-agent 1.2.3-1 amd64, apk/x86_64/spire-agent-extras-1.2.3-r1.apk spire-agent-extras 1.2.3-1 amd64",
		"aarch64": "apk/aarch64/spire-agent-extras-1.2.3-r1.apk spire-agent-extras 1.2.3-1 arm64",
	} {
		found, err := Index.Read(t.Context(), from, trust{ours()}, "apk/"+arch+"/"+name)
		if err != nil || !found.Made.Equal(day) {
			t.Errorf("%s: made at %s, %v", arch, found.Made, err)
		}
		var offers []string
		for _, o := range found.Offers {
			offers = append(offers, fmt.Sprintf("%s %s %s %s", o.Path, o.Package, o.Version, o.For))
			if o.Size == 0 {
				t.Errorf("%s has no size", o.Path)
			}
		}
		if got := strings.Join(offers, ", "); got != want {
			t.Errorf("%s offers\n%s\nwant\n%s", arch, got, want)
		}
	}
	file, err := Package(t.Context(), from, trust{ours()}, head, "spire-agent", day)
	if err != nil {
		t.Fatal(err)
	}
	if fields, err := file.Fields(); err != nil || one(fields, "pkgname") != "spire-agent" {
		t.Errorf("%v: %v", err, fields)
	}
}

// The reader takes nothing that a machine must not install.
func TestRefused(t *testing.T) {
	const agent = "apk/x86_64/spire-agent-1.2.3-r1.apk"
	// No larger than the one that was published, and right in itself.
	other := apkfiletest.Package(t, "spire-agent", "1.2.3-r1", "x86_64", "")
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		by     door
		want   string
	}{
		"nothing":   {func(*testing.T, string) {}, ours(), ""},
		"wrong key": {func(*testing.T, string) {}, theirs(), "verification error"},
		"another package": {func(t *testing.T, dir string) {
			change(t, dir, agent, func(f *apkfile.File) { *f = other })
		}, ours(), "checksum mismatch: it is Q1"},
		"another payload": {func(t *testing.T, dir string) {
			change(t, dir, agent, func(f *apkfile.File) { f.Data = other.Data })
		}, ours(), "checksum mismatch: what it installs"},
		"replay": {func(t *testing.T, dir string) {
			old, _ := served(t, "1.2.2", day.Add(-30*24*time.Hour), ours())
			move(t, filepath.Join(old, head), filepath.Join(dir, head))
			move(t, filepath.Join(old, "apk/x86_64/spire-agent-1.2.2-r1.apk"), filepath.Join(dir, "apk/x86_64/spire-agent-1.2.2-r1.apk"))
		}, ours(), "it is stale, made at 2026-01-30T12:00:00Z, 30 days ago"},
		"another list": {func(t *testing.T, dir string) {
			change(t, dir, head, func(f *apkfile.File) {
				var err error
				if f.Control, err = apkfile.Stream(true); err != nil {
					t.Fatal(err)
				}
			})
		}, ours(), "reading a part of it"},
		"a list with a package more": {func(t *testing.T, dir string) {
			change(t, dir, head, func(f *apkfile.File) {
				entries, err := apkfile.Entries(f.Control)
				if err == nil {
					entries[1].Content = append(entries[1].Content, "\nP:more\nA:noarch\n"...)
					f.Control, err = apkfile.Stream(true, entries...)
				}
				if err != nil {
					t.Fatal(err)
				}
			})
		}, ours(), "verification error"},
		"unsigned":  {func(t *testing.T, dir string) { change(t, dir, head, func(f *apkfile.File) { f.Signature = nil }) }, ours(), "it is not signed"},
		"no index":  {func(t *testing.T, dir string) { move(t, filepath.Join(dir, head), filepath.Join(dir, "x")) }, ours(), "404"},
		"cut short": {func(t *testing.T, dir string) { rewrite(t, dir, agent, func(b []byte) []byte { return b[:len(b)-9] }) }, ours(), "reading a part of it"},
		"longer":    {func(t *testing.T, dir string) { rewrite(t, dir, agent, func(b []byte) []byte { return append(b, 0) }) }, ours(), "it has more than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, from := served(t, "1.2.3", day, c.by)
			c.change(t, dir)
			_, err := Package(t.Context(), from, trust{ours()}, head, "spire-agent", day)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// An index in the place of another architecture's has the right signature.
func TestOfAnotherArchitecture(t *testing.T) {
	dir, from := served(t, "1.2.3", day, ours())
	move(t, filepath.Join(dir, head), filepath.Join(dir, "apk/aarch64", name))
	_, err := Index.Read(t.Context(), from, trust{ours()}, "apk/aarch64/"+name)
	if err == nil || !strings.Contains(err.Error(), "spire-agent is for x86_64, and the index for aarch64") {
		t.Error(err)
	}
}

// An apk is published under its own name only, and an index signed by a key that its
// clients have.
func TestNotPublished(t *testing.T) {
	from := filepath.Join(t.TempDir(), "spire-agent_1.2.3-r2_x86_64.apk")
	if err := os.WriteFile(from, apkfiletest.Bytes(t, apkfiletest.Package(t, "spire-agent", "1.2.3-r1", "x86_64", "text")), 0o644); err != nil {
		t.Fatal(err)
	}
	named, _, err := Index.Forms[0].Parse(filepath.Base(from))
	if err != nil {
		t.Fatal(err)
	}
	err = Index.Inspect(t.Context(), []*index.File{{Name: named, From: from}}, trust{ours()})
	if err == nil || !strings.Contains(err.Error(), "spire-agent 1.2.3-r1 x86_64, not spire-agent 1.2.3-r2 x86_64") {
		t.Error(err)
	}
	state := index.State{
		Tree: tree.Tree{Dir: t.TempDir(), At: day}, Signing: index.Signing{Signer: signer{theirs()}, Trusted: trust{ours()}},
		Ledger: ledger.Ledger{Tombstones: []ledger.Tombstone{{Path: "apk/x86_64/gone-1.2.3-r1.apk"}}},
	}
	if _, err := Index.Make(t.Context(), state); err == nil || !strings.Contains(err.Error(), "not one that clients trust") {
		t.Error(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, dir, file string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, file))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), change(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func change(t *testing.T, dir, file string, change func(*apkfile.File)) {
	t.Helper()
	rewrite(t, dir, file, func(content []byte) []byte {
		f, err := apkfile.Read(content)
		if err != nil {
			t.Fatal(err)
		}
		change(&f)
		return apkfiletest.Bytes(t, f)
	})
}

// Of several versions the newest is taken, as numbers go.
func TestNewest(t *testing.T) {
	var entries []entry
	for _, version := range []string{"1.9.3-r1", "1.14.0-r2", "1.14.0-r10", "1.10.0-r11"} {
		entries = append(entries, entry{"P": "one", "V": version})
	}
	entries = append(entries, entry{"P": "other", "V": "2.0.0-r1"})
	if got := newest(entries, "one")["V"]; got != "1.14.0-r10" {
		t.Errorf("the newest is %s", got)
	}
	if got := newest(entries, "none"); got != nil {
		t.Errorf("of none it is %v", got)
	}
}
