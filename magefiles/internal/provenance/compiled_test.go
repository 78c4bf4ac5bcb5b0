package provenance

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// small is a source tree that carries its dependencies, as SPIRE's does.
var small = map[string]string{
	"go.mod":                         "module example.org/main\n\ngo 1.21\n\nrequire (\n\texample.org/Used v1.0.0\n\texample.org/old v1.0.0\n\texample.org/unused v1.0.0\n)\n\nreplace example.org/old => example.org/new/v3 v3.1.0\n",
	"go.sum":                         "example.org/Used v1.0.0 " + sum1 + "\nexample.org/Used v1.0.0/go.mod " + sum2 + "\nexample.org/new/v3 v3.1.0 " + sum2 + "\n",
	"main.go":                        "package main\n\nimport (\n\t_ \"example.org/Used\"\n\t_ \"example.org/old\"\n)\n\nfunc main() {}\n",
	"vendor/modules.txt":             "# example.org/Used v1.0.0\n## explicit\nexample.org/Used\n# example.org/old v1.0.0 => example.org/new/v3 v3.1.0\n## explicit\nexample.org/old\n# example.org/unused v1.0.0\n## explicit\nexample.org/unused\n# example.org/old => example.org/new/v3 v3.1.0\n",
	"vendor/example.org/Used/x.go":   "package used\n",
	"vendor/example.org/old/x.go":    "package old\n",
	"vendor/example.org/unused/x.go": "package unused\n",
}

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goVersion asks the go command what is in a program: the modules as
// path@version, sorted, those that replace others in their places.
func goVersion(t *testing.T, path string) (goVersion string, modules []string) {
	t.Helper()
	out, err := run.New("go", "version", "-m", path).In(os.TempDir()).Output(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(out, "\n")
	goVersion = strings.TrimPrefix(first[strings.LastIndex(first, ": ")+2:], "go")
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		switch {
		case len(words) < 3:
		case words[0] == "=>":
			modules[len(modules)-1] = words[1] + "@" + words[2]
		case words[0] == "dep":
			modules = append(modules, words[1]+"@"+words[2])
		}
	}
	slices.Sort(modules)
	return goVersion, modules
}

// described are the Go modules in a CycloneDX document, but the main one, and
// those in an SPDX document.
func described(t *testing.T, cyclonedx, spdxText []byte) (inCycloneDX, inSPDX []string) {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(cyclonedx), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	for _, component := range *bom.Components {
		if component.Type == cdx.ComponentTypeLibrary && strings.HasPrefix(component.PackageURL, "pkg:golang/") {
			inCycloneDX = append(inCycloneDX, component.Name+"@"+component.Version)
		}
	}
	document := &spdx.Document{}
	if err := spdxjson.ReadInto(bytes.NewReader(spdxText), document); err != nil {
		t.Fatal(err)
	}
	linked := map[common.ElementID]bool{}
	for _, relation := range document.Relationships {
		if relation.Relationship == common.TypeRelationshipStaticLink {
			linked[relation.RefB.ElementRefID] = true
		}
	}
	for _, element := range document.Packages {
		if linked[element.PackageSPDXIdentifier] && strings.HasPrefix(element.PackageExternalReferences[0].Locator, "pkg:golang/") {
			inSPDX = append(inSPDX, element.PackageName+"@"+element.PackageVersion)
		}
	}
	return inCycloneDX, inSPDX
}

// wantSame makes sure that both documents have what the go command finds.
func wantSame(t *testing.T, p Package) {
	t.Helper()
	cyclonedx, spdx := must(t)(p.CycloneDX()), must(t)(p.SPDX())
	validate(t, cdxSchema, cyclonedx)
	validate(t, spdxSchema, spdx)
	version, want := goVersion(t, p.Program.Binary.Path)
	want = append(want, "stdlib@"+version)
	slices.Sort(want)
	one, two := described(t, cyclonedx, spdx)
	if diff := cmp.Diff(want, one); diff != "" {
		t.Errorf("modules in the CycloneDX SBOM (-go version -m +ours):\n%s", diff)
	}
	if diff := cmp.Diff(want, two); diff != "" {
		t.Errorf("modules in the SPDX SBOM (-go version -m +ours):\n%s", diff)
	}
}

func TestCompiledProgram(t *testing.T) {
	dir := writeTree(t, small)
	path := filepath.Join(t.TempDir(), "main")
	build := run.New("go", "build", "-mod=vendor", "-trimpath", "-o", path, ".").In(dir)
	if err := build.WithEnv("GOFLAGS=", "GOWORK=off", "GOPROXY=off", "CGO_ENABLED=0").Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	sums, err := GoSums(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := server()
	p.Program.Binary = artifact.Binary{Name: "main", Path: path, SHA256: hex64("b")}
	p.Program.Tree.Module, p.Program.Sums = "example.org/main", sums
	p.Program.Licenses = []License{{"example.org/main", "MIT"}, {"example.org/Used", "MIT"}, {"example.org/new/v3", "ISC"}, {"golang", "BSD-3-Clause"}}
	wantSame(t, p)
	text := string(must(t)(p.CycloneDX()))
	for _, part := range []string{`"example.org/new/v3"`, "Stands in for example.org/old.", sum1, sum2, `"spire-packages:go:build:CGO_ENABLED"`} {
		if !strings.Contains(text, part) {
			t.Errorf("the SBOM has no %s", part)
		}
	}
	if strings.Contains(text, "unused") || strings.Contains(text, dir) {
		t.Error("the SBOM has what is not in the program")
	}
}

func TestGoSums(t *testing.T) {
	sums, err := GoSums(writeTree(t, small))
	want := map[string]string{
		"example.org/Used@v1.0.0": sum1, "example.org/Used@v1.0.0/go.mod": sum2, "example.org/new/v3@v3.1.0": sum2,
	}
	if diff := cmp.Diff(want, sums); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	_, err = GoSums(t.TempDir())
	wantError(t, err, "reading the modules' sums", "no such file")
	_, err = GoSums(writeTree(t, map[string]string{"go.sum": "a v1\n"}))
	wantError(t, err, `"a v1" is not a module, a version and a hash`)
}

func TestSQLite(t *testing.T) {
	header := "vendor/github.com/mattn/go-sqlite3/sqlite3-binding.h"
	library, ok, err := SQLite(writeTree(t, map[string]string{header: "/* SQLITE_VERSION */\n#define SQLITE_VERSION        \"3.50.4\"\n#define SQLITE_VERSION_NUMBER 3050004\n"}))
	want := Carried{Module: "github.com/mattn/go-sqlite3", Name: "sqlite3", Version: "3.50.4"}
	if library != want || !ok || err != nil {
		t.Errorf("got %v, %v, %v", library, ok, err)
	}
	if _, ok, err := SQLite(t.TempDir()); ok || err != nil {
		t.Errorf("a tree without SQLite: %v, %v", ok, err)
	}
	_, _, err = SQLite(writeTree(t, map[string]string{header: "#define SQLITE_VERSION_NUMBER 3050004\n"}))
	wantError(t, err, "does not define SQLITE_VERSION")
}

// The programs that are shipped: SPIRE_TEST_BINARIES is their folder,
// SPIRE_TEST_TREE the source that they were compiled from.
func TestRealPrograms(t *testing.T) {
	binaries, source := os.Getenv("SPIRE_TEST_BINARIES"), os.Getenv("SPIRE_TEST_TREE")
	if binaries == "" || source == "" {
		t.Skip("needs real programs and their source: SPIRE_TEST_BINARIES, SPIRE_TEST_TREE")
	}
	sums, err := GoSums(source)
	if err != nil {
		t.Fatal(err)
	}
	sqlite, ok, err := SQLite(source)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	programs, err := filepath.Glob(filepath.Join(binaries, "*"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("%s has no programs: %v", binaries, err)
	}
	for _, path := range programs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p := server()
			p.Program.Binary.Path, p.Program.Sums, p.Program.Carried = path, sums, []Carried{sqlite}
			p.Program.Licenses = anyLicense(t, path)
			wantSame(t, p)
		})
	}
}

// anyLicense gives all parts of a program the same license: which they have is
// not the question here.
func anyLicense(t *testing.T, path string) []License {
	t.Helper()
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	licenses := []License{{"golang", "MIT"}, {"musl", "MIT"}, {"sqlite3", "MIT"}, {info.Main.Path, "MIT"}}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		licenses = append(licenses, License{module.Path, "MIT"})
	}
	return licenses
}
