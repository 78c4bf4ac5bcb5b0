package mutation

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/fixture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// The names by which a fault's package is found are those of the machine that the
// faults are planted on, whichever that is.
func TestPlantedNames(t *testing.T) {
	var files []artifact.File
	for _, name := range []string{
		"spire-agent_1.13.3-1_amd64.deb", "spire-agent-1.13.3-1.aarch64.rpm", "spire-1.13.3-1.src.rpm",
		planted + "_1.13.3-1_amd64.deb", planted + "_1.13.3-1_arm64.deb", planted + "_1.13.3-1_arm64.deb.cdx.json",
		planted + "-1.13.3-1.x86_64.rpm", planted + "-1.13.3-1.aarch64.rpm", planted + "-1.13.3-1.aarch64.rpm.cdx.json",
	} {
		files = append(files, artifact.File{Path: filepath.Join("dist", name)})
	}
	s := &fixture.Fixture{Build: subject.Build{Part: subject.Part{Result: pipeline.Result{Files: files}}}}
	for _, test := range []struct {
		format             string
		arch, name, folder string
	}{
		{pkgdef.Deb, "amd64", planted + "_1.13.3-1_amd64.deb", ""},
		{pkgdef.Deb, "arm64", planted + "_1.13.3-1_arm64.deb", ""},
		{pkgdef.RPM, "amd64", planted + "-1.13.3-1.x86_64.rpm", "www/rpm/x86_64"},
		{pkgdef.RPM, "arm64", planted + "-1.13.3-1.aarch64.rpm", "www/rpm/aarch64"},
	} {
		place := matrix.Target{Distribution: matrix.Distribution{Format: test.format}, Arch: test.arch}
		got := builtFor(s, place)
		if want := []string{filepath.Join("dist", test.name)}; !slices.Equal(got, want) {
			t.Fatalf("%s %s: %v, want %v", test.format, test.arch, got, want)
		}
		if folder := rpmFolder("www", got[0]); test.format == pkgdef.RPM && folder != test.folder {
			t.Errorf("%s %s: published in %s, want %s", test.format, test.arch, folder, test.folder)
		}
	}
}

// An unsigned package gets into the repository of the machine's architecture, with
// an index that is signed, and the file that other repositories share stays.
func TestUnsign(t *testing.T) {
	for _, program := range []string{"createrepo_c", "gpg"} {
		if !run.Have(program) {
			t.Skipf("%s is not installed: no index was made", program)
		}
	}
	dir, name := t.TempDir(), planted+"-1.13.3-1.aarch64.rpm"
	write := func(path, content string) string {
		path = filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := testkey.New(t.Context(), "A test <test@example.org>", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(key.Close)
	s := &fixture.Fixture{Build: subject.Build{Part: subject.Part{Result: pipeline.Result{Files: []artifact.File{{Path: write("dist/"+name, "unsigned")}}}}}, Key: key}
	s.Root = dir
	shared, published := write("shared", "signed"), filepath.Join(dir, "www/rpm/aarch64", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(published), 0o755), os.Link(shared, published)); err != nil {
		t.Fatal(err)
	}
	place := matrix.Target{Distribution: matrix.Distribution{Format: pkgdef.RPM}, Arch: "arm64"}
	if err := unsign(t.Context(), s, place, filepath.Join(dir, "www")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{published: "unsigned", shared: "signed"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is %q, want %q, error %v", path, got, want, err)
		}
	}
	index := filepath.Join(filepath.Dir(published), "repodata", "repomd.xml")
	if _, err := key.GPG(t.Context(), nil, "--verify", index+".asc", index); err != nil {
		t.Error(err)
	}
}
