package pipeline

import (
	"bytes"
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/provenance"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// born is when all keys of these tests were made.
var born = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// someone is a signer with a key of its own.
func someone(t *testing.T, name string) *sign.Signer {
	t.Helper()
	config := &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: func() time.Time { return born }}
	entity, err := openpgp.NewEntity(name, "", "someone@example.org", config)
	if err != nil {
		t.Fatal(err)
	}
	var public bytes.Buffer
	if err := entity.Serialize(&public); err != nil {
		t.Fatal(err)
	}
	certificates, err := sign.Certificates(public.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.New(certificates[0], entity.PrivateKey.PrivateKey.(*rsa.PrivateKey), born.AddDate(0, 1, 0), 0)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// shipped is a folder as Sign makes it, of two small files.
func shipped(t *testing.T, signer *sign.Signer, module string) (p Pipeline, dir string) {
	t.Helper()
	p = real(t)
	source, err := pkgdef.LoadSource(p.Root, "spire")
	if err != nil {
		t.Fatal(err)
	}
	if module == "" {
		module = source.Module
	}
	dir = t.TempDir()
	stated(t, source, module, "1.13.3", 1, dir, "spire-agent_1.13.3-1_amd64.deb", "spire_1.13.3.orig.tar.xz")
	resum(t, signer, dir)
	return p, dir
}

// stated makes small files and the provenance of them.
func stated(t *testing.T, source pkgdef.Source, module, version string, release int, dir string, names ...string) {
	t.Helper()
	var subjects []provenance.Subject
	for _, name := range names {
		file, err := artifact.Keep(filepath.Join(dir, name), []byte("content of "+name))
		if err != nil {
			t.Fatal(err)
		}
		subjects = append(subjects, provenance.Subject{Name: name, SHA256: file.SHA256})
	}
	pin := source.Releases[version]
	statement, err := provenance.Build{
		Tree: artifact.Tree{
			Module: module, Version: version, Sum: pin.Sum, Commit: pin.Commit, Time: pin.Time, Verified: true,
			Hash: pin.Sum, UpstreamSHA256: subjects[0].SHA256,
		},
		Repository: source.Repository, Release: release, Builder: provenance.LocalBuilder,
		Toolchains: []provenance.Toolchain{{Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", Sum: pin.Sum}},
		Compiles:   []provenance.Compile{{Arch: "amd64"}},
	}.Statement(subjects)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.Keep(filepath.Join(dir, fmt.Sprintf("spire_%s-%d.intoto.json", version, release)), statement); err != nil {
		t.Fatal(err)
	}
}

// resum writes and signs the checksums of what is in dir.
func resum(t *testing.T, signer *sign.Signer, dir string) {
	t.Helper()
	sums := filepath.Join(dir, artifact.SumsName)
	for _, old := range []string{sums, sums + artifact.Signature} {
		if err := os.RemoveAll(old); err != nil {
			t.Fatal(err)
		}
	}
	files, err := artifact.Describe(dir)
	if err == nil {
		err = artifact.WriteSums(dir, files)
	}
	if err == nil {
		err = signer.File(context.Background(), sums, sums+artifact.Signature)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func verdicts(t *testing.T, p Pipeline, what string, signer *sign.Signer) string {
	t.Helper()
	found, err := p.Verify(t.Context(), what, t.TempDir(), sign.NewKeyring(signer.Certificate()))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, verdict := range found {
		lines = append(lines, verdict.String())
	}
	return strings.Join(lines, "\n")
}

func TestVerify(t *testing.T) {
	ours, other := someone(t, "ours"), someone(t, "other")
	const deb, statement = "spire-agent_1.13.3-1_amd64.deb", "spire_1.13.3-1.intoto.json"
	for name, c := range map[string]struct {
		module string
		spoil  func(dir string) error
		want   string // of the deb's verdict
	}{
		"all is well": {want: "ok   " + deb + ": checksum, made from github.com/spiffe/spire 1.13.3, commit 191c76b48965"},
		"a changed byte": {
			spoil: func(dir string) error { return os.WriteFile(filepath.Join(dir, deb), []byte("Content"), 0o600) },
			want:  "BAD  " + deb + ": checksum mismatch: it is not what was shipped: its SHA-256 is ",
		},
		"no checksums": {
			spoil: func(dir string) error { return os.Remove(filepath.Join(dir, artifact.SumsName)) },
			want:  "BAD  " + deb + ": there is no SHA256SUMS beside it",
		},
		"no signature": {
			spoil: func(dir string) error { return os.Remove(filepath.Join(dir, artifact.SumsSignature)) },
			want:  "BAD  " + deb + ": there is no SHA256SUMS.asc beside it",
		},
		"another's signature": {
			spoil: func(dir string) error {
				sums := filepath.Join(dir, artifact.SumsName)
				return other.File(context.Background(), sums, sums+artifact.Signature)
			},
			want: "BAD  " + deb + ": the signature of SHA256SUMS: ",
		},
		"changed checksums": {
			spoil: func(dir string) error {
				return os.WriteFile(filepath.Join(dir, artifact.SumsName), []byte(strings.Repeat("0", 64)+"  "+deb+"\n"), 0o600)
			},
			want: "BAD  " + deb + ": the signature of SHA256SUMS: ",
		},
		"no statement": {
			spoil: func(dir string) error { return os.Remove(filepath.Join(dir, statement)) },
			want:  "BAD  " + deb + ": there is no " + statement + " beside it",
		},
		"a statement that was never there": {
			spoil: func(dir string) error {
				err := os.Remove(filepath.Join(dir, statement))
				resum(t, ours, dir)
				return err
			},
			want: "BAD  " + deb + ": SHA256SUMS lists no provenance",
		},
		"a changed statement": {
			spoil: func(dir string) error { return os.WriteFile(filepath.Join(dir, statement), []byte("{}"), 0o600) },
			want:  "BAD  " + deb + ": checksum mismatch: the provenance " + statement + " is not what was shipped",
		},
		"a statement about another file": {
			spoil: func(dir string) error {
				err := os.WriteFile(filepath.Join(dir, deb), []byte("another"), 0o600)
				resum(t, ours, dir)
				return err
			},
			want: "BAD  " + deb + ": checksum mismatch: " + deb + " is not the file that the provenance statement is about",
		},
		"somebody else's software": {
			module: "example.org/other",
			want:   `BAD  ` + deb + `: the provenance statement is about the module "example.org/other", not "github.com/spiffe/spire"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, dir := shipped(t, ours, c.module)
			if c.spoil != nil {
				if err := c.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			if got := verdicts(t, p, filepath.Join(dir, deb), ours); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What was not shipped does not get in, and what was shipped does not get lost.
func TestVerifyFolder(t *testing.T) {
	ours := someone(t, "ours")
	p, dir := shipped(t, ours, "")
	if got := verdicts(t, p, dir, ours); strings.Contains(got, "BAD") || strings.Count(got, "\n") != 4 {
		t.Errorf("whole:\n%s", got)
	}
	if err := os.Rename(filepath.Join(dir, "spire_1.13.3.orig.tar.xz"), filepath.Join(dir, "more")); err != nil {
		t.Fatal(err)
	}
	got := verdicts(t, p, dir, ours)
	for _, want := range []string{
		"BAD  more: it is not among the shipped files that SHA256SUMS lists",
		"BAD  spire_1.13.3.orig.tar.xz: it was shipped, and is not there",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
}

func TestVerifyAddress(t *testing.T) {
	ours := someone(t, "ours")
	p, dir := shipped(t, ours, "")
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	p.Log = io.Discard
	if got := verdicts(t, p, server.URL+"/", ours); strings.Contains(got, "BAD") || strings.Count(got, "ok ") != 5 {
		t.Errorf("whole:\n%s", got)
	}
	if err := os.Remove(filepath.Join(dir, "spire_1.13.3.orig.tar.xz")); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(t, p, server.URL, ours); !strings.Contains(got, "BAD  spire_1.13.3.orig.tar.xz: it was shipped, and is not there") {
		t.Errorf("a file is missing:\n%s", got)
	}
	_, err := p.Verify(t.Context(), server.URL+"/none", t.TempDir(), sign.NewKeyring(ours.Certificate()))
	if err == nil || !strings.Contains(err.Error(), "/none/SHA256SUMS: the server has no such file") {
		t.Errorf("error %v", err)
	}
}
