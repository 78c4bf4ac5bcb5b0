package pipeline

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

// unsigned is a version's folder as Build leaves it, of small files, about to be
// signed.
func unsigned(t *testing.T) signing {
	t.Helper()
	p := real(t)
	source, err := pkgdef.LoadSource(p.Root, "spire")
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
	for name, content := range map[string][]byte{
		"spire-agent_1.13.3-2_amd64.deb":  []byte("a deb"),
		"spire_1.13.3-2.dsc":              dsc,
		"spire_1.13.3-2_source.changes":   []byte(changes),
		"spire_1.13.3-2_amd64.build.json": nil,
	} {
		path := filepath.Join(p.Dist.Version("1.13.3"), name)
		if content == nil {
			err = artifact.Save(path, info{Info: compile.Info{Tree: tree, Arch: "amd64", ToolchainModule: "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", ToolchainSum: source.Toolchain.Sums["linux-amd64"]}})
		} else {
			err = artifact.WriteBytes(path, 0o644, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := artifact.Describe(p.Dist.Version("1.13.3"))
	if err == nil {
		err = artifact.WriteSums(p.Dist.Version("1.13.3"), files)
	}
	if err != nil {
		t.Fatal(err)
	}
	b := &build{Pipeline: p, source: source, tree: tree, options: Options{Version: "1.13.3", Arches: []string{"amd64"}}}
	return signing{build: b, files: files, signer: someone(t, "ours").At(tree.Time), signed: filepath.Join(string(p.Dist), "signed")}
}

func TestSigning(t *testing.T) {
	s := unsigned(t)
	first, err := s.make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range first.Files {
		names = append(names, file.Name())
	}
	want := []string{
		"SHA256SUMS", "SHA256SUMS.asc", "spire-agent_1.13.3-2_amd64.deb", "spire_1.13.3-2.dsc", "spire_1.13.3-2.intoto.json",
		"spire_1.13.3-2_amd64.build.json", "spire_1.13.3-2_source.changes",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := verdicts(t, s.Pipeline, first.Dir, s.signer); strings.Contains(got, "BAD") {
		t.Errorf("verify:\n%s", got)
	}
	second, err := s.make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range second.Files {
		if file.Rebuilt || file.SHA256 != first.Files[i].SHA256 {
			t.Errorf("%s was made again", file.Name())
		}
	}
}

// Signing again gives the same bytes, whatever became of what was there.
func TestSigningAgain(t *testing.T) {
	s := unsigned(t)
	first, err := s.make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(first.Dir, "spire_1.13.3-2.dsc"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := s.make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range second.Files {
		if file.SHA256 != first.Files[i].SHA256 {
			t.Errorf("%s came out otherwise", file.Name())
		}
	}
}

func TestSigningTampered(t *testing.T) {
	s := unsigned(t)
	if err := os.WriteFile(filepath.Join(s.Dist.Version("1.13.3"), "spire-agent_1.13.3-2_amd64.deb"), []byte("A deb"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.admit(t.Context(), Builder{})
	if err == nil || !strings.Contains(err.Error(), "spire-agent_1.13.3-2_amd64.deb is not what SHA256SUMS says") {
		t.Errorf("error %v", err)
	}
}
