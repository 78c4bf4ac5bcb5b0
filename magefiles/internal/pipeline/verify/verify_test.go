package verify

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// shipped is a folder as signing makes it, of two small files.
func shipped(t *testing.T, signer *sign.Signer, module string) (by Believed, dir string) {
	t.Helper()
	source, err := pkgdef.LoadSource(filepath.Join("..", "..", "..", ".."), "spire")
	if err != nil {
		t.Fatal(err)
	}
	if module == "" {
		module = source.Module
	}
	dir = t.TempDir()
	pipelinetest.State(t, source, module, "1.13.3", 1, dir, "spire-agent_1.13.3-1_amd64.deb", "spire_1.13.3.orig.tar.xz")
	pipelinetest.Sum(t, signer, dir)
	return Believed{Keys: sign.NewKeyring(signer.Certificate()), Sources: []pkgdef.Source{source}}, dir
}

func verdicts(t *testing.T, by Believed, what string) string {
	t.Helper()
	found, err := by.Files(t.Context(), what, t.TempDir(), io.Discard)
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
	ours, other := pipelinetest.Someone(t, "ours"), pipelinetest.Someone(t, "other")
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
				pipelinetest.Sum(t, ours, dir)
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
				pipelinetest.Sum(t, ours, dir)
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
			by, dir := shipped(t, ours, c.module)
			if c.spoil != nil {
				if err := c.spoil(dir); err != nil {
					t.Fatal(err)
				}
			}
			if got := verdicts(t, by, filepath.Join(dir, deb)); !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What was not shipped does not get in, and what was shipped does not get lost.
func TestVerifyFolder(t *testing.T) {
	ours := pipelinetest.Someone(t, "ours")
	by, dir := shipped(t, ours, "")
	if got := verdicts(t, by, dir); strings.Contains(got, "BAD") || strings.Count(got, "\n") != 4 {
		t.Errorf("whole:\n%s", got)
	}
	if err := os.Rename(filepath.Join(dir, "spire_1.13.3.orig.tar.xz"), filepath.Join(dir, "more")); err != nil {
		t.Fatal(err)
	}
	got := verdicts(t, by, dir)
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
	ours := pipelinetest.Someone(t, "ours")
	by, dir := shipped(t, ours, "")
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	if got := verdicts(t, by, server.URL+"/"); strings.Contains(got, "BAD") || strings.Count(got, "ok ") != 5 {
		t.Errorf("whole:\n%s", got)
	}
	if err := os.Remove(filepath.Join(dir, "spire_1.13.3.orig.tar.xz")); err != nil {
		t.Fatal(err)
	}
	if got := verdicts(t, by, server.URL); !strings.Contains(got, "BAD  spire_1.13.3.orig.tar.xz: it was shipped, and is not there") {
		t.Errorf("a file is missing:\n%s", got)
	}
	_, err := by.Files(t.Context(), server.URL+"/none", t.TempDir(), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "/none/SHA256SUMS: the server has no such file") {
		t.Errorf("error %v", err)
	}
}
