package provenance

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
)

func build() Build {
	return Build{
		Tree: tree(), Repository: "https://github.com/spiffe/spire", Release: 1,
		Toolchains: []Toolchain{toolchain("arm64", "c"), toolchain("amd64", "b"), toolchain("amd64", "b")},
		Compiles: []Compile{
			{Arch: "arm64", Flags: []string{"-trimpath"}, Env: []string{"GOARCH=arm64"}, CC: "aarch64-linux-gnu-gcc 12.2.0", Musl: "1.2.3-1", Tools: map[string]string{"gcc-12": "12.2.0-14+deb12u1", "musl-dev": "1.2.3-1"}},
			{Arch: "amd64", Flags: []string{"-trimpath", "-ldflags=-s -w"}, Env: []string{"GOARCH=amd64", "CC=musl-gcc"}, CC: "gcc <12.2.0> & co", Musl: "1.2.3-1"},
		},
		Packaging: strings.Repeat("d1", 20), Builder: LocalBuilder,
	}
}

func toolchain(arch, digit string) Toolchain {
	return Toolchain{Module: "golang.org/toolchain@v0.0.1-go1.26.8.linux-" + arch, Sum: "h1:" + strings.Repeat(strings.ToUpper(digit), 43) + "="}
}

func subjects() []Subject {
	return []Subject{
		{Name: "b.rpm", SHA256: hex64("5"), Unsigned: hex64("6")},
		{Name: "a.deb", SHA256: hex64("4")},
	}
}

func TestStatement(t *testing.T) {
	text := must(t)(build().Statement(subjects()))
	golden.Check(t, "statement.golden", string(text))
	reversed := subjects()
	slices.Reverse(reversed)
	for range 10 { // protojson varies the space between members
		if again := must(t)(build().Statement(reversed)); !bytes.Equal(text, again) {
			t.Fatal("the same files and build have two statements")
		}
	}
}

func TestStatementRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Build)
		files  []Subject
		want   string
	}{
		"no files":          {func(*Build) {}, nil, "subject"},
		"no name":           {func(*Build) {}, []Subject{{SHA256: hex64("1")}}, `"" is not the name of a file`},
		"a path":            {func(*Build) {}, []Subject{{Name: "../x", SHA256: hex64("1")}}, `"../x" is not the name`},
		"twice":             {func(*Build) {}, append(subjects(), subjects()...), `"a.deb" is not the name of a file, or is there twice`},
		"no digest":         {func(*Build) {}, []Subject{{Name: "x"}}, `x: "" or "" is not a SHA-256`},
		"upper case":        {func(*Build) {}, []Subject{{Name: "x", SHA256: hex64("A")}}, "is not a SHA-256"},
		"unsigned: no hash": {func(*Build) {}, []Subject{{Name: "x", SHA256: hex64("1"), Unsigned: "?"}}, `or "?" is not`},
		"no builder":        {func(b *Build) { b.Builder = "" }, subjects(), "builder"},
		"no tree":           {func(b *Build) { b.Tree.Hash = "" }, subjects(), `"" is not a hash of the form h1:BASE64`},
		"another hash":      {func(b *Build) { b.Tree.Sum = "h2:AAAA" }, subjects(), `"h2:AAAA" is not a hash`},
		"half a commit":     {func(b *Build) { b.Tree.Commit = "c0c0" }, subjects(), "incorrect length"},
	} {
		t.Run(name, func(t *testing.T) {
			b := build()
			test.change(&b)
			_, err := b.Statement(test.files)
			wantError(t, err, "writing the provenance of github.com/spiffe/spire 1.2.3", test.want)
		})
	}
}

// What is not known is left out, and reads as not known.
func TestStatementOfALocalSource(t *testing.T) {
	b := build()
	b.Tree.Verified, b.Tree.Sum, b.Tree.Commit, b.Packaging = false, "", "", ""
	text := must(t)(b.Statement(subjects()))
	for _, absent := range []string{"pkg:golang/github.com", "gitCommit", "metadata", `"packaging"`} {
		if bytes.Contains(text, []byte(absent)) {
			t.Errorf("the statement has %s", absent)
		}
	}
	s := parse(t, text)
	wantError(t, s.MadeFrom(Origin{Module: b.Tree.Module, Version: "1.2.3~unverified"}))
	wantError(t, s.MadeFrom(Origin{b.Tree.Module, "1.2.3~unverified", commit}), `the commit "", not "`+commit)
}

func parse(t *testing.T, text []byte) Statement {
	t.Helper()
	s, err := ParseStatement(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseStatement(t *testing.T) {
	text := must(t)(build().Statement(subjects()))
	s := parse(t, text)
	want := subjects()
	slices.Reverse(want)
	if diff := cmp.Diff(want, s.Subjects()); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	if s.Builder != LocalBuilder {
		t.Errorf("the builder is %q", s.Builder)
	}
	// Fields of a later version are not known, and change nothing.
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	object["later"] = true
	object["predicate"].(map[string]any)["later"] = true
	later, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	parse(t, later)
}

func TestParseStatementRefuses(t *testing.T) {
	text := string(must(t)(build().Statement(subjects())))
	for name, test := range map[string]struct{ was, is, want string }{
		"not JSON":           {"{", "", "not an in-toto statement"},
		"no type":            {`"_type": "https://in-toto.io/Statement/v1",`, "", "not an in-toto statement"},
		"older type":         {"Statement/v1", "Statement/v0.1", "it is a https://in-toto.io/Statement/v0.1 with"},
		"other predicate":    {"slsa.dev/provenance/v1", "slsa.dev/provenance/v0.2", "with a https://slsa.dev/provenance/v0.2, not"},
		"other build":        {"/build/v1", "/build/v2", "a build of the type " + Project + "/build/v2, not " + BuildType},
		"predicate of other": {`"buildDefinition"`, `"definition"`, "not SLSA provenance"},
		"other form":         {`"buildType": "`, `"buildType": ["`, "it is not an in-toto statement"},
		"no builder":         {`"id": "` + LocalBuilder + `"`, `"id": ""`, "not SLSA provenance"},
		"no module":          {`"module": "github.com/spiffe/spire"`, `"module": ""`, "it names no module"},
		"no version":         {`"version": "1.2.3"`, `"version": 1`, "it names no module, or no version"},
		"subject twice":      {"b.rpm", "a.deb", `its subject "a.deb" is there twice`},
		"subject of no name": {`"name": "b.rpm",`, "", `its subject "" is there twice, or has no name`},
		"no digest":          {`"sha256": "` + hex64("5") + `"`, "", "digest"},
		"weak digest":        {`"sha256": "` + hex64("5") + `"`, `"md5": "` + strings.Repeat("5", 32) + `"`, `"b.rpm" is there twice, or has no name or no SHA-256`},
	} {
		t.Run(name, func(t *testing.T) {
			broken := strings.Replace(text, test.was, test.is, 1)
			if broken == text {
				t.Fatalf("the statement has no %s", test.was)
			}
			_, err := ParseStatement([]byte(broken))
			wantError(t, err, "reading the provenance statement", test.want)
		})
	}
}

func TestCovers(t *testing.T) {
	s := parse(t, must(t)(build().Statement(subjects())))
	wantError(t, s.Covers("a.deb", hex64("4")))
	wantError(t, s.Covers("c.deb", hex64("4")), "not about c.deb")
	wantError(t, s.Covers("a.deb", hex64("5")), "a.deb is not the file", "its SHA-256 is "+hex64("5")+", not "+hex64("4"))
	// The file as it was before it was signed is another file.
	wantError(t, s.Covers("b.rpm", hex64("6")), "b.rpm is not the file")
}

func TestCoversExactly(t *testing.T) {
	s := parse(t, must(t)(build().Statement(subjects())))
	a, b := Subject{Name: "a.deb", SHA256: hex64("4")}, Subject{Name: "b.rpm", SHA256: hex64("5")}
	changed := Subject{Name: "b.rpm", SHA256: hex64("9")}
	surplus := Subject{Name: "z.deb", SHA256: hex64("4")}
	for name, test := range map[string]struct {
		files []Subject
		want  []string
	}{
		"all":                {[]Subject{b, a}, nil},
		"one is missing":     {[]Subject{a}, []string{"about b.rpm, which is not there"}},
		"all are missing":    {nil, []string{"about a.deb, which", "about b.rpm, which"}},
		"one too many":       {[]Subject{a, b, surplus}, []string{"not about z.deb"}},
		"one is another":     {[]Subject{a, changed}, []string{"b.rpm is not the file"}},
		"everything at once": {[]Subject{changed, surplus}, []string{"about a.deb, which", "b.rpm is not", "not about z.deb"}},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, s.CoversExactly(test.files), test.want...) })
	}
}

func TestMadeFrom(t *testing.T) {
	s := parse(t, must(t)(build().Statement(subjects())))
	right := Origin{"github.com/spiffe/spire", "1.2.3", commit}
	for name, test := range map[string]struct {
		change func(*Origin)
		want   []string
	}{
		"right":          {func(*Origin) {}, nil},
		"any commit":     {func(o *Origin) { o.Commit = "" }, nil},
		"other module":   {func(o *Origin) { o.Module = "example.org/x" }, []string{`the module "github.com/spiffe/spire", not "example.org/x"`}},
		"other version":  {func(o *Origin) { o.Version = "1.2.4" }, []string{`the version "1.2.3", not "1.2.4"`}},
		"no version":     {func(o *Origin) { o.Version = "" }, []string{`the version "1.2.3", not ""`}},
		"other commit":   {func(o *Origin) { o.Commit = strings.Repeat("d", 40) }, []string{`the commit "` + commit + `", not "ddd`}},
		"all are others": {func(o *Origin) { *o = Origin{"a", "b", "c"} }, []string{"the module", "the version", "the commit"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := right
			test.change(&o)
			wantError(t, s.MadeFrom(o), test.want...)
		})
	}
}
