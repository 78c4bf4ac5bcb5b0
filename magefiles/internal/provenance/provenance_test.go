package provenance

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Values of the right form that name nothing.
var (
	sum1   = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
	sum2   = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="
	commit = strings.Repeat("c0", 20)
	when   = time.Date(2025, 10, 23, 14, 39, 57, 0, time.FixedZone("", 2*60*60))
)

func hex64(digit string) string { return strings.Repeat(digit, 64) }

// tree is a source as the source step describes it.
func tree() artifact.Tree {
	return artifact.Tree{
		Module: "github.com/spiffe/spire", Version: "1.2.3", Sum: sum1, Commit: commit, Time: when, Verified: true,
		Patches:        []artifact.Patch{{Name: "0002-later.patch", SHA256: hex64("2")}, {Name: "0001-sooner.patch", SHA256: hex64("1")}},
		UpstreamSHA256: hex64("3"), Hash: sum2,
	}
}

// recorded is what the go command would record in a program of the tree: in
// names, versions and replacements all that there can be.
func recorded() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8 X:nodwarf5", Path: "github.com/spiffe/spire/cmd/spire-server",
		Main: debug.Module{Path: "github.com/spiffe/spire", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "github.com/DataDog/datadog-go", Version: "v3.2.0+incompatible"},
			{Path: "github.com/mattn/go-sqlite3", Version: "v1.14.32"},
			{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/New/v2", Version: "v2.0.1"}},
			{Path: "gopkg.in/yaml.v3", Version: "v3.0.1"},
		},
		Settings: []debug.BuildSetting{{Key: "-tags", Value: "netgo,osusergo"}, {Key: "CGO_ENABLED", Value: "1"}},
	}
}

func program() *Program {
	return &Program{
		Installed:  "/usr/bin/spire-server",
		Binary:     artifact.Binary{Name: "spire-server", Arch: "amd64", SHA256: hex64("b"), Linked: []string{"gcc-12 (= 12.2.0-14+deb12u1)", "golang-1.26 (= 1.26.8)", "musl (= 1.2.3-1)"}, Compilers: []string{"binutils (= 2.40-2)", "gcc-12 (= 12.2.0-14+deb12u1)", "golang-1.26 (= 1.26.8)", "musl-tools (= 1.2.3-1)"}},
		Tree:       tree(),
		Repository: "https://github.com/spiffe/spire",
		Sums: map[string]string{
			"github.com/DataDog/datadog-go@v3.2.0+incompatible": sum1,
			"github.com/mattn/go-sqlite3@v1.14.32":              sum2,
			"example.org/New/v2@v2.0.1":                         sum1,
			"gopkg.in/yaml.v3@v3.0.1":                           sum2,
		},
		Licenses: []License{
			{"github.com/spiffe/spire", "Apache-2.0"},
			{"github.com/DataDog/datadog-go", "MIT"},
			{"github.com/mattn/go-sqlite3", "MIT"},
			{"example.org/New/v2", "LicenseRef-Cake"},
			{"gopkg.in/yaml.v3", "(Apache-2.0 OR MIT) AND ISC"},
			{"gopkg.in/yaml.v3", "MIT OR ISC"}, // one of its folders
			{"gopkg.in/yaml.v3", "ISC"},
			{"golang", "BSD-3-Clause"},
			{"musl", "MIT"},
			{"sqlite3", "blessing"},
		},
		Carried: []Carried{
			{Module: "github.com/mattn/go-sqlite3", Name: "sqlite3", Version: "3.50.4"},
			{Module: "github.com/not/linked", Name: "nothing", Version: "1"},
		},
	}
}

// server is a deb with a program.
func server() Package {
	return Package{
		Type: "deb", File: "spire-server_1.2.3-1_amd64.deb", Name: "spire-server", Version: "1.2.3-1", Arch: "amd64",
		Vendor: "spire-packages", Summary: "SPIFFE Runtime Environment, server", Description: "Signs what agents hand out.\n",
		Homepage: "https://spiffe.io/", License: "Apache-2.0 AND MIT AND LicenseRef-Cake", Time: when, Program: program(),
	}
}

// keyring is an rpm without one.
func keyring() Package {
	return Package{
		Type: "rpm", File: "spire-release-1-1.noarch.rpm", Name: "spire-release", Version: "1-1", Arch: "noarch",
		Vendor: "spire-packages", Summary: "Where SPIRE's packages are", Description: "The key and the address.",
		Homepage: "https://spiffe.io/", License: "Apache-2.0", Time: when,
	}
}

// describe is what the package's program is made of.
func describe(t *testing.T, p Package) content {
	t.Helper()
	if p.Program == nil {
		return content{}
	}
	c, err := p.Program.describe(recorded())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func must(t *testing.T) func(text []byte, err error) []byte {
	return func(text []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
}

// wantError compares what an error says with the parts that it must say; with
// none there must be no error.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil && len(parts) > 0 {
		t.Fatalf("no error that says %q", parts)
	}
	if err != nil && len(parts) == 0 {
		t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q does not say %q", err, part)
		}
	}
}

// validate checks a document against an official schema, those that it refers
// to and the forms of its texts included.
func validate(t *testing.T, schema string, document []byte) {
	t.Helper()
	if err := against(t, schema, document); err != nil {
		t.Errorf("%v", err)
	}
}

func against(t *testing.T, schema string, document []byte) error {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for id, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schema.json",
		"http://spdx.org/rdf/terms/2.3":                    "spdx-2.3.schema.json",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "schema", file))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(id, unmarshal(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := compiler.Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(unmarshal(t, document))
}

func unmarshal(t *testing.T, text []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// A schema that takes anything would make the other tests worthless.
func TestSchemasRefuse(t *testing.T) {
	c := describe(t, server())
	for name, test := range map[string]struct {
		schema   string
		document []byte
		was, is  string
	}{
		"CycloneDX: a field nobody knows": {cdxSchema, must(t)(server().cyclonedx(c)), `"bomFormat"`, `"format"`},
		"CycloneDX: not a digest":         {cdxSchema, must(t)(server().cyclonedx(c)), hex64("b"), "b"},
		"CycloneDX: not a serial number":  {cdxSchema, must(t)(server().cyclonedx(c)), `urn:uuid:`, `urn:`},
		"CycloneDX: not a time":           {cdxSchema, must(t)(server().cyclonedx(c)), `2025-10-23T12`, `Thursday`},
		"SPDX: a field nobody knows":      {spdxSchema, must(t)(server().spdx(c)), `"versionInfo"`, `"version"`},
		"SPDX: no such relation":          {spdxSchema, must(t)(server().spdx(c)), `STATIC_LINK`, `LINK`},
	} {
		t.Run(name, func(t *testing.T) {
			broken := bytes.Replace(test.document, []byte(test.was), []byte(test.is), 1)
			if bytes.Equal(broken, test.document) {
				t.Fatalf("the document has no %s", test.was)
			}
			if against(t, test.schema, broken) == nil {
				t.Error("the schema accepts it")
			}
		})
	}
}
