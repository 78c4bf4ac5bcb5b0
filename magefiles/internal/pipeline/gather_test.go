package pipeline

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/compile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/source"
)

// machines makes the folders of two machines that built a version, each for its
// own architecture, and both the source packages.
func machines(t *testing.T, version string) (Pipeline, Options) {
	t.Helper()
	p := Pipeline{Root: "../../..", Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Log: io.Discard}
	o := Options{Version: version, Arches: []string{"amd64", "arm64"}, Prebuilt: t.TempDir()}
	for _, arch := range o.Arches {
		b, err := p.load(Options{Version: version, Arches: []string{arch}})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(o.Prebuilt, arch)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range b.inventory().Files().Built {
			put(t, filepath.Join(dir, name), "content of "+name)
		}
		recorded(t, b, filepath.Join(dir, record.Name(b.source, version, arch)), arch, func(*record.Record) {})
		list(t, dir)
	}
	return p, o
}

// recorded writes the record of a build that is right, or is changed.
func recorded(t *testing.T, b *build, path, arch string, change func(*record.Record)) {
	t.Helper()
	tree, err := source.Fetcher{Source: b.source}.Known(t.Context(), b.options.Version)
	if err != nil {
		t.Fatal(err)
	}
	tree.Hash, tree.UpstreamSHA256 = "h1:x", strings.Repeat("0", 64)
	made := record.Record{Info: compile.Info{
		Arch: arch, Tree: tree, Toolchain: b.source.Toolchain.Version, ToolchainSum: b.source.Toolchain.Sums["linux-"+arch], Flags: compile.Flags(b.source, tree), Env: compile.Env(arch, "musl-gcc"),
		Machine: arch, Tools: b.source.Tools.Native,
	}}
	change(&made)
	if err := artifact.Save(path, made); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// list writes the checksums of a folder.
func list(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, artifact.SumsName)); err != nil {
		t.Fatal(err)
	}
	files, err := artifact.Describe(dir)
	if err == nil {
		err = artifact.WriteSums(dir, files)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestGather(t *testing.T) {
	p, o := machines(t, "1.13.3")
	result, err := p.Build(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := artifact.Sums(p.Dist.Of("spire").Version("1.13.3"))
	if err != nil || len(files) != len(result.Files) {
		t.Errorf("%d files in dist, %d in the result, error %v", len(files), len(result.Files), err)
	}
	var names []string
	for _, file := range files {
		names = append(names, file.Name())
	}
	for _, want := range []string{"spire-server_1.13.3-2_arm64.deb", "spire-agent-1.13.3-2.x86_64.rpm", "spire_1.13.3-2.dsc", "spire_1.13.3-2_amd64.build.json"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("no %s in %q", want, names)
		}
	}
	if result.Tree.Version != "1.13.3" || !result.Tree.Verified {
		t.Errorf("source %+v", result.Tree)
	}
}

func TestGatherRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, amd64, arm64 string)
		want   string
	}{
		"not reproducible": {func(t *testing.T, amd64, _ string) {
			put(t, filepath.Join(amd64, "spire_1.13.3-2.dsc"), "other")
			list(t, amd64)
		}, "are not the same"},
		"changed on the way": {func(t *testing.T, _, arm64 string) {
			put(t, filepath.Join(arm64, "spire-agent_1.13.3-2_arm64.deb"), "other")
		}, "spire-agent_1.13.3-2_arm64.deb"},
		"a machine is missing": {func(t *testing.T, _, arm64 string) {
			if err := os.RemoveAll(arm64); err != nil {
				t.Fatal(err)
			}
		}, "lacks spiffe-oidc-discovery-provider-1.13.3-2.aarch64.rpm"},
		"another source": {func(t *testing.T, amd64, _ string) {
			made := record.Record{Info: compile.Info{Tree: artifact.Tree{Version: "1.13.3", Sum: "h1:other", Commit: "c0ffee"}}}
			if err := artifact.Save(filepath.Join(amd64, "spire_1.13.3-2_amd64.build.json"), made); err != nil {
				t.Fatal(err)
			}
			list(t, amd64)
		}, "was built from h1:other, commit c0ffee, but 1.13.3 is"},
		"another toolchain": {func(t *testing.T, amd64, _ string) {
			made := record.Record{Info: compile.Info{ToolchainSum: "h1:other", Tree: artifact.Tree{Version: "1.99.0"}}}
			if err := artifact.Save(filepath.Join(amd64, "spire_1.13.3-2_amd64.build.json"), made); err != nil {
				t.Fatal(err)
			}
			list(t, amd64)
		}, `was compiled by a toolchain with the sum "h1:other", which srpm/spire/source.yaml does not have`},
		"no record": {func(t *testing.T, amd64, _ string) {
			put(t, filepath.Join(amd64, "spire_1.13.3-2_amd64.build.json"), "no record")
			list(t, amd64)
		}, "is not the record of a build"},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := machines(t, "1.13.3")
			c.change(t, filepath.Join(o.Prebuilt, "amd64"), filepath.Join(o.Prebuilt, "arm64"))
			if _, err := p.Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if _, err := os.Stat(p.Dist.Of("spire").Version("1.13.3")); err == nil {
				t.Error("something is in dist")
			}
		})
	}
	p, o := machines(t, "1.13.0")
	o.Version = "1.13.3"
	if _, err := p.Build(t.Context(), o); err == nil || !strings.Contains(err.Error(), "amd64/spiffe-oidc-discovery-provider-1.13.0-2.x86_64.rpm is not one of the files of spire 1.13.3-2") {
		t.Errorf("another version: %v", err)
	}
}
