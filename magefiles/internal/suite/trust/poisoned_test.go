package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// poison does to the packages of a version what a job of a run could, so that a
// machine which installed them would notice nothing.
type poison struct {
	*testing.T
	dir, version string
}

func (p poison) run(name string, args ...string) {
	p.Helper()
	if said, err := run.New(name, args...).In(p.dir).Combined(p.Context()); err != nil {
		p.Fatalf("%v%s", err, tally.Indented(said))
	}
}

// replace puts another content in the place of a file, which is shared.
func (p poison) replace(pattern string, with func([]byte) []byte) {
	p.Helper()
	paths, err := filepath.Glob(filepath.Join(p.dir, pattern))
	if err != nil || len(paths) != 1 {
		p.Fatalf("%s: %q, %v", pattern, paths, err)
	}
	if err := change(paths[0], with); err != nil {
		p.Fatal(err)
	}
}

// postinst gives a deb another script that root runs.
func (p poison) postinst(deb string) {
	p.Helper()
	unpacked := p.TempDir()
	p.run("dpkg-deb", "--raw-extract", deb, unpacked+"/x")
	script := filepath.Join(unpacked, "x", "DEBIAN", "postinst")
	text, err := os.ReadFile(script)
	if err == nil {
		err = os.WriteFile(script, bytes.Replace(text, []byte("\nset -e\n"), []byte("\nset -e\nid >/poisoned\n"), 1), 0o755)
	}
	if err == nil {
		err = os.Remove(filepath.Join(p.dir, deb)) // it is shared
	}
	if err != nil {
		p.Fatal(err)
	}
	p.run("dpkg-deb", "-z1", "--root-owner-group", "--build", unpacked+"/x", deb)
}

// foreign makes a package of somebody else's name.
func (p poison) foreign(name, version string) {
	p.Helper()
	root := p.TempDir()
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n", name, version)
	if err := errors.Join(os.Mkdir(filepath.Join(root, "DEBIAN"), 0o755), os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644)); err != nil {
		p.Fatal(err)
	}
	p.run("dpkg-deb", "--build", root, fmt.Sprintf("%s_%s_all.deb", name, version))
}

// The real packages, poisoned in each of the ways that were once signed.
func TestPoisonedPackages(t *testing.T) {
	built := suitetest.Packages(t)
	version := filepath.Base(built)
	files, err := artifact.Sums(built)
	if err != nil {
		t.Fatal(err)
	}
	vouched := pipeline.Result{Files: files}.Digests()
	debs, err := filepath.Glob(filepath.Join(built, smallest+"_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("%s of %s: %q, %v", smallest, runtime.GOARCH, debs, err)
	}
	deb := filepath.Base(debs[0])
	for name, c := range map[string]struct {
		do   func(poison)
		want string
	}{
		"a surplus file":  {func(p poison) { p.run("cp", deb, "extra_1-1_amd64.deb") }, "extra_1-1_amd64.deb is not one of the files of spire " + version},
		"a replaced file": {func(p poison) { p.postinst(deb) }, deb + " has the SHA-256 "},
		"a missing file":  {func(p poison) { p.run("rm", deb+".spdx.json") }, "lacks " + deb + ".spdx.json"},
		"a forged record": {func(p poison) {
			p.replace("*.build.json", func(text []byte) []byte {
				return bytes.Replace(text, []byte(`"Version": "`+version), []byte(`"Version": "99.0.0`), 1)
			})
		}, `was, by its record, built from version "99.0.0", not ` + version},
		"a changed source": {func(p poison) {
			p.replace("*.debian.tar.xz", func(content []byte) []byte { return append(content, 0, 0, 0, 0) }) // padding, for xz
		}, ".debian.tar.xz has the SHA-256 "},
		"a foreign name": {func(p poison) { p.foreign("sudo", "99.0.0-1") }, "sudo_99.0.0-1_all.deb is not one of the files of spire " + version},
		"a surplus architecture": {func(p poison) {
			p.run("mkdir", "../riscv64")
			p.run("cp", deb, "../riscv64/"+strings.Replace(deb, runtime.GOARCH, "riscv64", 1))
			list(p.T, filepath.Join(p.dir, "..", "riscv64"))
		}, "riscv64.deb is not one of the files of spire " + version},
	} {
		t.Run(name, func(t *testing.T) {
			prebuilt := t.TempDir()
			p := poison{t, filepath.Join(prebuilt, runtime.GOARCH), version}
			if err := os.CopyFS(p.dir, os.DirFS(built)); err != nil {
				t.Fatal(err)
			}
			c.do(p)
			list(t, p.dir)
			key := func(context.Context, artifact.Tree) (*sign.Signer, error) {
				return nil, errors.New("the key was touched")
			}
			line := pipeline.Pipeline{Root: suitetest.Root, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Log: io.Discard}
			o := pipeline.Options{Version: version, Arches: []string{runtime.GOARCH}, Prebuilt: prebuilt, Rebuilt: vouched}
			_, err := line.Sign(t.Context(), o, key, pipeline.Builder{ID: "a workflow"}, "")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "touched") {
				t.Errorf("error %v, want %q", err, c.want)
			}
			t.Log(err)
		})
	}
}

// list makes the checksums of a folder anew, as who poisons it would.
func list(t *testing.T, dir string) {
	t.Helper()
	err := os.RemoveAll(filepath.Join(dir, artifact.SumsName))
	files, err2 := artifact.Describe(dir)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	if err := artifact.WriteSums(dir, files); err != nil {
		t.Fatal(err)
	}
}
