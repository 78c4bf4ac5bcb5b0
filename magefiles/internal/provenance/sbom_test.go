package provenance

import (
	"bytes"
	"encoding/json"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

const spdxSchema = "http://spdx.org/rdf/terms/2.3"

func TestCycloneDX(t *testing.T) {
	for _, p := range []Package{server(), keyring()} {
		t.Run(p.File, func(t *testing.T) {
			text := must(t)(p.cyclonedx(describe(t, p)))
			golden.Check(t, p.File+".cdx.golden", string(text))
			validate(t, cdxSchema, text)
			var bom cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
				t.Fatal(err)
			}
			wantSoundReferences(t, &bom)
		})
	}
}

// wantSoundReferences makes sure of what the schema cannot say: names of
// components are unique, and whatever is referred to is there.
func wantSoundReferences(t *testing.T, bom *cdx.BOM) {
	t.Helper()
	components := []cdx.Component{*bom.Metadata.Component}
	if bom.Components != nil {
		components = append(components, *bom.Components...)
	}
	there := map[string]bool{}
	for _, component := range components {
		if there[component.BOMRef] || component.BOMRef == "" {
			t.Errorf("%q is there twice, or nothing", component.BOMRef)
		}
		there[component.BOMRef] = true
	}
	if bom.Formulation != nil {
		for _, compiler := range *(*bom.Formulation)[0].Components {
			if there[compiler.BOMRef] || compiler.BOMRef == "" {
				t.Errorf("%q, which compiled, is there twice, or nothing", compiler.BOMRef)
			}
		}
	}
	wanted := map[string]bool{bom.Metadata.Component.BOMRef: true}
	if bom.Dependencies != nil {
		for _, dependency := range *bom.Dependencies {
			for _, ref := range append([]string{dependency.Ref}, *dependency.Dependencies...) {
				wanted[ref] = true
			}
		}
	}
	if diff := cmp.Diff(wanted, there); diff != "" {
		t.Errorf("components that are referred to, and that are there (-want +got):\n%s", diff)
	}
}

func TestSPDX(t *testing.T) {
	for _, p := range []Package{server(), keyring()} {
		t.Run(p.File, func(t *testing.T) {
			text := must(t)(p.spdx(describe(t, p)))
			golden.Check(t, p.File+".spdx.golden", string(text))
			validate(t, spdxSchema, text)
			document := &spdx.Document{}
			if err := spdxjson.ReadInto(bytes.NewReader(text), document); err != nil {
				t.Fatal(err)
			}
			if err := spdxlib.ValidateDocument(document); err != nil {
				t.Error(err)
			}
			wantSoundElements(t, document)
		})
	}
}

func wantSoundElements(t *testing.T, document *spdx.Document) {
	t.Helper()
	form := regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
	there, related := map[common.ElementID]bool{spdxDocument: true}, map[common.ElementID]bool{}
	for _, element := range document.Packages {
		id := element.PackageSPDXIdentifier
		if there[id] || !form.MatchString(string(id)) {
			t.Errorf("%q is there twice, or is no identifier", id)
		}
		there[id] = true
		if len(element.Files) > 0 || element.FilesAnalyzed {
			t.Errorf("%s claims that its files were analysed", id)
		}
		for _, checksum := range element.PackageChecksums {
			if element.PackageName != "/usr/bin/spire-server" {
				t.Errorf("%s has the checksum %s", id, checksum.Value)
			}
		}
	}
	for _, relation := range document.Relationships {
		related[relation.RefA.ElementRefID], related[relation.RefB.ElementRefID] = true, true
	}
	if diff := cmp.Diff(there, related); diff != "" {
		t.Errorf("elements that are there, and that are related (-want +got):\n%s", diff)
	}
}

// Go's hash of a module is of a list of files. Whoever compared it with a
// file's SHA-256 would be told that the module was tampered with.
func TestModuleSumsAreNoFileHashes(t *testing.T) {
	var bom cdx.BOM
	if err := json.Unmarshal(must(t)(server().cyclonedx(describe(t, server()))), &bom); err != nil {
		t.Fatal(err)
	}
	hashed, summed := []string{}, []string{}
	for _, component := range *bom.Components {
		if component.Hashes != nil {
			hashed = append(hashed, component.Name)
		}
		if component.Properties != nil && (*component.Properties)[0].Name == "spire-packages:go:sum" {
			summed = append(summed, component.Name)
		}
	}
	if diff := cmp.Diff([]string{"/usr/bin/spire-server"}, hashed); diff != "" {
		t.Errorf("components with hashes (-want +got):\n%s", diff)
	}
	// Not the main module: what is compiled is not what was released.
	modules := []string{"example.org/New/v2", "github.com/DataDog/datadog-go", "github.com/mattn/go-sqlite3", "gopkg.in/yaml.v3"}
	if diff := cmp.Diff(modules, summed); diff != "" {
		t.Errorf("components with sums (-want +got):\n%s", diff)
	}
}

// Each deb and rpm has documents of its own, and the same content the same.
func TestIdentity(t *testing.T) {
	other := server()
	other.File = "spire-server_1.2.3-2_amd64.deb"
	patched := server()
	patched.Program.Tree.Patches = nil
	for name, form := range map[string]func(Package) []byte{
		"CycloneDX": func(p Package) []byte { return must(t)(p.cyclonedx(describe(t, p))) },
		"SPDX":      func(p Package) []byte { return must(t)(p.spdx(describe(t, p))) },
	} {
		if !bytes.Equal(form(server()), form(server())) {
			t.Errorf("%s: two documents of the same package differ", name)
		}
		seen := map[string]bool{}
		for _, p := range []Package{server(), other, patched, keyring()} {
			seen[uuids.FindString(string(form(p)))] = true
		}
		if len(seen) != 4 || seen[""] {
			t.Errorf("%s: four documents have the identities %v", name, seen)
		}
	}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

func TestOrderOfInputsDoesNotMatter(t *testing.T) {
	p, info := server(), recorded()
	slices.Reverse(info.Deps)
	slices.Reverse(p.Program.Licenses)
	slices.Reverse(p.Program.Carried)
	c, err := p.Program.describe(info)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(must(t)(server().cyclonedx(describe(t, server())))), string(must(t)(p.cyclonedx(c)))); diff != "" {
		t.Error(diff)
	}
}

func TestUnverifiedTree(t *testing.T) {
	p := server()
	p.Program.Tree.Verified, p.Program.Tree.Sum, p.Program.Tree.Commit, p.Program.Tree.Patches = false, "", "", nil
	c := describe(t, p)
	if c.main.purl != "" || c.main.version != "v1.2.3~unverified" {
		t.Errorf("a tree that nobody vouches for is called %s, version %s", c.main.purl, c.main.version)
	}
	validate(t, cdxSchema, must(t)(p.cyclonedx(c)))
	validate(t, spdxSchema, must(t)(p.spdx(c)))
}

func TestPURL(t *testing.T) {
	for want, test := range map[string]struct{ module, version string }{
		"pkg:golang/github.com/datadog/datadog-go@v3.2.0%2Bincompatible": {"github.com/DataDog/datadog-go", "v3.2.0+incompatible"},
		"pkg:golang/gopkg.in/yaml.v3@v3.0.1":                             {"gopkg.in/yaml.v3", "v3.0.1"},
		"pkg:golang/stdlib@1.26.8":                                       {"stdlib", "1.26.8"},
		"pkg:golang/github.com/go-jose/go-jose/v4@v4.1.3":                {"github.com/go-jose/go-jose/v4", "v4.1.3"},
		"pkg:golang/example.org/~a@v0.0.0-20160526145045-9e14626cd129":   {"example.org/~a", "v0.0.0-20160526145045-9e14626cd129"},
	} {
		if got, err := modulePURL(test.module, test.version); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	deb, rpm := server(), server()
	rpm.Type, rpm.Version, rpm.Arch = "rpm", "1.2.3~unverified-1", "x86_64"
	arm := rpm
	arm.Arch = "aarch64"
	for want, p := range map[string]Package{
		"pkg:deb/spire-packages/spire-server@1.2.3-1?arch=amd64":              deb,
		"pkg:rpm/spire-packages/spire-server@1.2.3~unverified-1?arch=x86_64":  rpm,
		"pkg:rpm/spire-packages/spire-server@1.2.3~unverified-1?arch=aarch64": arm,
		"pkg:rpm/spire-packages/spire-release@1-1?arch=noarch":                keyring(),
	} {
		if got, err := p.purl(); got != want || err != nil {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	if _, err := modulePURL("", "v1"); err == nil {
		t.Error("a module without a name has a package URL")
	}
}

// What cannot be said rightly is not said at all.
func TestDescribeRefuses(t *testing.T) {
	without := func(name string) func(*Program) {
		return func(p *Program) {
			p.Licenses = slices.DeleteFunc(p.Licenses, func(l License) bool { return l.Name == name })
		}
	}
	for name, test := range map[string]struct {
		change func(*Program)
		want   []string
	}{
		"nothing":               {func(*Program) {}, nil},
		"main module's license": {without("github.com/spiffe/spire"), []string{"spire-server", "github.com/spiffe/spire has no license"}},
		"module's license":      {without("gopkg.in/yaml.v3"), []string{"gopkg.in/yaml.v3 has no license"}},
		"Go's license":          {without("golang"), []string{"golang has no license"}},
		"C library's license":   {without("musl"), []string{"musl has no license"}},
		"carried library's":     {without("sqlite3"), []string{"sqlite3 has no license"}},
		"both":                  {func(p *Program) { without("musl")(p); without("golang")(p) }, []string{"musl has", "golang has"}},
		"module's sum":          {func(p *Program) { delete(p.Sums, "gopkg.in/yaml.v3@v3.0.1") }, []string{"go.sum has no hash of gopkg.in/yaml.v3@v3.0.1"}},
		"replacement's sum":     {func(p *Program) { delete(p.Sums, "example.org/New/v2@v2.0.1") }, []string{"no hash of example.org/New/v2@v2.0.1"}},
		"program of another":    {func(p *Program) { p.Tree.Module = "example.org/other" }, []string{"compiled from the module github.com/spiffe/spire, not from example.org/other"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := program()
			test.change(p)
			_, err := p.describe(recorded())
			wantError(t, err, test.want...)
		})
	}
}

func TestReplacedByAFolder(t *testing.T) {
	info := recorded()
	info.Deps[0].Replace = &debug.Module{Path: "../mine"}
	_, err := program().describe(info)
	wantError(t, err, "github.com/DataDog/datadog-go is replaced by the folder ../mine")
}

func TestLicenses(t *testing.T) {
	for want, expressions := range map[string][]string{
		"MIT":                           {"MIT"},
		"Apache-2.0 AND MIT":            {"MIT", "Apache-2.0", "MIT AND Apache-2.0"},
		"BSD-3-Clause OR MIT":           {"BSD-3-Clause OR MIT"},
		"(BSD-3-Clause OR MIT) AND ISC": {"ISC", "BSD-3-Clause OR MIT"},
		"(A OR B) AND (C OR D) AND E":   {"(C OR D) AND E", "(A OR B) AND (C OR D)"},
	} {
		p := Program{}
		for _, expression := range expressions {
			p.Licenses = append(p.Licenses, License{"m", expression}, License{"other", "X"})
		}
		part, err := p.licensed(part{}, "m")
		if part.license != want || err != nil {
			t.Errorf("%q: got %s, %v, want %s", expressions, part.license, err, want)
		}
	}
}

func TestNotAGoProgram(t *testing.T) {
	p := server()
	p.Program.Binary.Path = "/bin/true"
	for _, form := range []func() ([]byte, error){p.CycloneDX, p.SPDX} {
		_, err := form()
		wantError(t, err, p.File, "spire-server")
	}
	if strings.Contains(string(must(t)(keyring().SPDX())), "STATIC_LINK") {
		t.Error("a package without a program has something linked into it")
	}
	must(t)(keyring().CycloneDX())
}
