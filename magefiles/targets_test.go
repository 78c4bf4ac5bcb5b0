//go:build mage

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/magefile/mage/mage"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
)

func TestTargets(t *testing.T) {
	var out, errs bytes.Buffer
	if code := mage.ParseAndRun(&out, &errs, nil, []string{"-d", "..", "-l"}); code != 0 || errs.Len() > 0 {
		t.Fatalf("mage -l: exit %d\n%s", code, &errs)
	}
	golden.Check(t, "targets.golden", out.String())
}

// Whatever else is in this file, Mage lists no target, or lists them twice, or
// only works where it is installed.
const zeroInstall = `//go:build ignore

package main

import (
	"os"

	"github.com/magefile/mage/mage"
)

func main() { os.Exit(mage.Main()) }
`

func TestZeroInstall(t *testing.T) {
	got, err := os.ReadFile(filepath.Join("..", "magefile.go"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(zeroInstall, string(got)); diff != "" {
		t.Errorf("magefile.go is not in Mage's zero-install form (-want +got):\n%s", diff)
	}
}

// A file without the tag breaks `go build ./...`, and everybody's editor.
func TestTags(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, error %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if file != "mage_output_file.go" && !bytes.HasPrefix(content, []byte("//go:build mage\n\n")) {
			t.Errorf("%s does not begin with //go:build mage", file)
		}
	}
}

func TestOptions(t *testing.T) {
	text := func(s string) *string { return &s }
	yes, no, own := true, false, []string{runtime.GOARCH}
	for name, c := range map[string]struct {
		env                   map[string]string
		version, arch, source *string
		unchecked             *bool
		want                  pipeline.Options
	}{
		"nothing": {want: pipeline.Options{Arches: own}},
		"flags": {
			version: text("1.2.3"), arch: text("amd64,arm64"), source: text("/src"), unchecked: &yes,
			want: pipeline.Options{Version: "1.2.3", Dir: "/src", Unchecked: true, Arches: []string{"amd64", "arm64"}},
		},
		"environment": {
			env:  map[string]string{"SPIRE_VERSION": "1.2.3", "SPIRE_ARCH": "arm64", "SPIRE_SOURCE": "/src", "SPIRE_UNCHECKED": "1"},
			want: pipeline.Options{Version: "1.2.3", Dir: "/src", Unchecked: true, Arches: []string{"arm64"}},
		},
		"a flag beats the environment": {
			env:     map[string]string{"SPIRE_VERSION": "1.2.3", "SPIRE_ARCH": "arm64", "SPIRE_SOURCE": "/src", "SPIRE_UNCHECKED": "1"},
			version: text("4.5.6"), arch: text("amd64"), source: text("/other"), unchecked: &no,
			want: pipeline.Options{Version: "4.5.6", Dir: "/other", Arches: []string{"amd64"}},
		},
		"checking stays on for any other word": {
			env:  map[string]string{"SPIRE_UNCHECKED": "0"},
			want: pipeline.Options{Arches: own},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"SPIRE_VERSION", "SPIRE_ARCH", "SPIRE_SOURCE", "SPIRE_UNCHECKED"} {
				t.Setenv(variable, c.env[variable])
			}
			got := options(c.version, c.arch, c.source, c.unchecked)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What the targets are run with is the checkout's, wherever that is.
func TestCheckout(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	got := checkout()
	if got.Root != dir || string(got.Dist) != filepath.Join(dir, "dist") {
		t.Errorf("root %s, dist %s", got.Root, got.Dist)
	}
	if s := tests(); s.Root != dir || s.Pipeline.Dist != got.Dist {
		t.Errorf("the suite's root is %s, its dist %s", s.Root, s.Pipeline.Dist)
	}
}
