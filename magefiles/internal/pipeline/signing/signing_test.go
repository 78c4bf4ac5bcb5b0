package signing

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/admission"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/inventory"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// unsigned is a version's folder as Build leaves it, of small files, about to be
// signed.
func unsigned(t *testing.T) (s Folder, dist artifact.Dist) {
	t.Helper()
	root, dist := filepath.Join("..", "..", "..", ".."), artifact.Dist(filepath.Join(t.TempDir(), "dist"))
	source, err := pkgdef.LoadSource(root, "spire")
	if err != nil {
		t.Fatal(err)
	}
	pin := source.Releases["1.13.3"]
	tree := artifact.Tree{
		Module: source.Module, Version: "1.13.3", Sum: pin.Sum, Commit: pin.Commit, Time: pin.Time, Verified: true,
		Hash: pin.Sum, UpstreamSHA256: strings.Repeat("0", 64),
	}
	dsc := []byte("Source: spire\nVersion: 1.13.3-2\n")
	changes := fmt.Sprintf("Source: spire\nChecksums-Sha1:\n %x %d spire_1.13.3-2.dsc\nChecksums-Sha256:\n %x %d spire_1.13.3-2.dsc\nFiles:\n %x %d net optional spire_1.13.3-2.dsc\n",
		sha1.Sum(dsc), len(dsc), sha256.Sum256(dsc), len(dsc), md5.Sum(dsc), len(dsc))
	made := record.Record{Info: compile.Info{Tree: tree, Arch: "amd64", ToolchainModule: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", ToolchainSum: source.Toolchain.Sums["linux-amd64"]}}
	for name, content := range map[string][]byte{
		"spire-agent_1.13.3-2_amd64.deb":  []byte("a deb"),
		"spire_1.13.3-2.dsc":              dsc,
		"spire_1.13.3-2_source.changes":   []byte(changes),
		"spire_1.13.3-2_amd64.build.json": nil,
	} {
		path := filepath.Join(dist.Version("1.13.3"), name)
		if content == nil {
			err = artifact.Save(path, made)
		} else {
			err = artifact.WriteBytes(path, 0o644, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := artifact.Describe(dist.Version("1.13.3"))
	if err == nil {
		err = artifact.WriteSums(dist.Version("1.13.3"), files)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Folder{
		Admitted: admission.Admitted{Files: files, Records: []record.Record{made}}, Version: inventory.Version{Source: source, Tree: tree},
		Signer: pipelinetest.Someone(t, "ours").At(tree.Time), Root: root, Signed: filepath.Join(string(dist), "signed"), Log: io.Discard,
	}, dist
}

// names are those of files.
func names(files []artifact.File) (names []string) {
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names
}

func TestSigning(t *testing.T) {
	s, _ := unsigned(t)
	first, err := s.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"SHA256SUMS", "SHA256SUMS.asc", "spire-agent_1.13.3-2_amd64.deb", "spire_1.13.3-2.dsc", "spire_1.13.3-2.intoto.json",
		"spire_1.13.3-2_amd64.build.json", "spire_1.13.3-2_source.changes",
	}
	if diff := cmp.Diff(want, names(first)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	by := verify.Believed{Keys: sign.NewKeyring(s.Signer.Certificate()), Sources: []pkgdef.Source{s.Source}}
	verdicts, err := by.Files(t.Context(), s.Dir(), "", io.Discard)
	if err != nil || len(verdicts) != len(first) {
		t.Errorf("%d verdicts, error %v", len(verdicts), err)
	}
	for _, verdict := range verdicts {
		if verdict.Err != nil {
			t.Errorf("verify: %s", verdict)
		}
	}
	second, err := s.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range second {
		if file.Rebuilt || file.SHA256 != first[i].SHA256 {
			t.Errorf("%s was made again", file.Name())
		}
	}
}

// Signing again gives the same bytes, whatever became of what was there.
func TestSigningAgain(t *testing.T) {
	s, _ := unsigned(t)
	first, err := s.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir(), "spire_1.13.3-2.dsc"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := s.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range second {
		if file.SHA256 != first[i].SHA256 {
			t.Errorf("%s came out otherwise", file.Name())
		}
	}
}

func TestSigningTampered(t *testing.T) {
	s, dist := unsigned(t)
	if err := os.WriteFile(filepath.Join(dist.Version("1.13.3"), "spire-agent_1.13.3-2_amd64.deb"), []byte("A deb"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := admission.Candidate{Version: inventory.Version{Dist: dist, Tree: s.Tree}}.Admit(t.Context())
	if err == nil || !strings.Contains(err.Error(), "spire-agent_1.13.3-2_amd64.deb is not what SHA256SUMS says") {
		t.Errorf("error %v", err)
	}
}
