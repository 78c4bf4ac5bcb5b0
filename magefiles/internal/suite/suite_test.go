package suite

import (
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/distro"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

// checkout is the repository that these tests are in.
var checkout = filepath.Join("..", "..", "..")

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The go command itself, over a module with every kind of result.
func TestUnit(t *testing.T) {
	t.Setenv("GOTOOLCHAIN", "local")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	root := tree(t, map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.21\n",
		"a/a_test.go": `package a

import "testing"

func TestGood(t *testing.T) { t.Run("part", func(*testing.T) {}) }
func TestItself(t *testing.T) { t.Run("part", func(*testing.T) {}); t.Error("the sum is wrong") }
func TestSkip(t *testing.T) { t.Skip("there is no moon") }
`,
		"b/b_test.go": "package b\n\nfunc f() { undefinedThing() }\n",
		"c/c.go":      "package c\n",
		"d/d_test.go": "//go:build mage\n\npackage d\n\nimport \"testing\"\n\nfunc TestTagged(*testing.T) {}\n",
	})
	var log strings.Builder
	err := Suite{Root: root, Log: &log}.Unit(t.Context())
	if err == nil || err.Error() != "2 tests failed" {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"example.org/m/a TestItself", "the sum is wrong", "there is no moon", "undefinedThing", "\n3 passed, 2 failed, 1 skipped\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &log)
		}
	}
}

// Where the go command does not get as far as a test, that is a failure.
func TestUnitWithoutModule(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	var log strings.Builder
	root := tree(t, map[string]string{"go.mod": "this is no module\n"})
	if err := (Suite{Root: root, Log: &log}).Unit(t.Context()); err == nil || !strings.Contains(log.String(), "0 passed, 1 failed") {
		t.Errorf("error %v:\n%s", err, &log)
	}
}

// result is a build of the given files, with the sum of each.
func result(sums map[string]string) built {
	b := built{}
	for name, sum := range sums {
		b.result.Files = append(b.result.Files, artifact.File{Path: "/first/dist/1.13.3/" + name, SHA256: sum})
	}
	return b
}

func TestCompare(t *testing.T) {
	one, two := strings.Repeat("a", 64), strings.Repeat("b", 64)
	first := map[string]string{"x.deb": one, "x.rpm": two}
	for name, c := range map[string]struct {
		second string
		want   []string // in the error; none for a success
	}{
		"same":               {one + "  x.deb\n" + two + "  x.rpm\n", nil},
		"other order":        {two + "  x.rpm\n" + one + "  x.deb\n", nil},
		"one differs":        {one + "  x.deb\n" + one + "  x.rpm\n", []string{"x.rpm came out otherwise"}},
		"both differ":        {two + "  x.deb\n" + one + "  x.rpm\n", []string{"x.deb came out otherwise", "x.rpm came out otherwise"}},
		"one is missing":     {one + "  x.deb\n", []string{"x.rpm came out otherwise", "made 1 files, the first 2"}},
		"one more":           {one + "  x.deb\n" + two + "  x.rpm\n" + two + "  y.rpm\n", []string{"made 3 files, the first 2"}},
		"one by other name":  {one + "  x.deb\n" + two + "  y.rpm\n", []string{"x.rpm came out otherwise"}},
		"a name that begins": {one + "  x.deb.old\n" + two + "  x.rpm\n", []string{"x.deb came out otherwise"}},
		"nothing":            {"", []string{"x.deb came out otherwise", "x.rpm came out otherwise"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := result(first).compare(tree(t, map[string]string{"SHA256SUMS": c.second}))
			if (err != nil) != (len(c.want) > 0) {
				t.Errorf("error %v", err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
	if err := result(first).compare(t.TempDir()); err == nil {
		t.Error("a build without a list of sums is as good as the first")
	}
}

func TestFiles(t *testing.T) {
	b := result(map[string]string{"x.deb": "", "x.rpm": "", "x.build.json": "", "deb": ""})
	if got := b.files("deb"); !slices.Equal(got, []string{"/first/dist/1.13.3/x.deb"}) {
		t.Errorf("debs %v", got)
	}
}

func TestConfigurations(t *testing.T) {
	root := tree(t, map[string]string{
		"packages/spire-server/server.conf": "", "packages/spire-server/examples/nested/server-root.conf": "",
		"packages/spire-server/examples/nested/README.md": "", "packages/spire-server/package.yaml": "",
		"packages/spire-agent/agent.conf": "", "packages/spire-agent/examples/one/agent.env.example": "",
		"packages/oidc/oidc-discovery-provider.conf": "", "packages/oidc/examples/nginx/nginx.conf": "", "packages/oidc/examples/nginx/oidc-discovery-provider.conf": "",
		"units/spire-agent/drop-ins/agent.conf": "", "packages/spire-agent/examples/one/deeper/agent.conf": "",
	})
	files, err := configurations(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		name, _ := filepath.Rel(root, file)
		got = append(got, name)
	}
	slices.Sort(got)
	want := []string{
		"packages/oidc/examples/nginx/oidc-discovery-provider.conf", "packages/oidc/oidc-discovery-provider.conf",
		"packages/spire-agent/agent.conf",
		"packages/spire-server/examples/nested/server-root.conf", "packages/spire-server/server.conf",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if files, err := configurations(t.TempDir()); err == nil {
		t.Errorf("no configuration is no error: %v", files)
	}
}

// triedByItsPackage says whether a package's own test takes an example's configuration.
func triedByItsPackage(file string) bool {
	name, err := filepath.Rel(filepath.Join(checkout, "packages"), file)
	pkg, rest, _ := strings.Cut(name, "/")
	test, err2 := os.ReadFile(filepath.Join(checkout, "packages", pkg, "test.sh"))
	return err == nil && err2 == nil && strings.Contains(string(test), "/usr/share/"+pkg+"/"+rest+" ")
}

// No configuration of ours goes unread because of its name or its place.
func TestEveryConfiguration(t *testing.T) {
	read, err := configurations(checkout)
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"nginx.conf"}
	err = filepath.WalkDir(filepath.Join(checkout, "packages"), func(name string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".conf") && !slices.Contains(read, name) && !slices.Contains(others, d.Name()) && !triedByItsPackage(name) {
			t.Errorf("%s is read by no command", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestValidatorOf(t *testing.T) {
	for file, want := range map[string]string{
		"/x/server.conf": "spire-server", "/x/server-root.conf": "spire-server", "agent.conf": "spire-agent",
		"oidc-discovery-provider.conf": "oidc-discovery-provider", "nginx.conf": "", "/server/x.conf": "",
	} {
		if v, ok := validatorOf(file); v.binary != want || ok != (want != "") {
			t.Errorf("%s: %q, %t", file, v.binary, ok)
		}
	}
}

// The copy is read on a machine without SPIRE: it names nothing outside its folder,
// and each certificate that it names is there.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(tree(t, map[string]string{"server.conf": `a = "/etc/spire/server/root.crt" b = "/etc/spire/server/key" c = "/run/spire/oidc-discovery-provider/x.sock" d = "sslrootcert=/etc/spire/server/db-ca.crt"`}), "server.conf")
	copied, err := setAside(dir, file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(copied)
	want := strings.ReplaceAll(`a = "DIR/server/root.crt" b = "DIR/server/key" c = "DIR/x.sock" d = "sslrootcert=DIR/server/db-ca.crt"`, "DIR", dir)
	if err != nil || string(got) != want {
		t.Errorf("%s, error %v", got, err)
	}
	for _, name := range []string{"root.crt", "db-ca.crt"} {
		content, err := os.ReadFile(filepath.Join(dir, "server", name))
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(content) {
			t.Errorf("%s is no certificate: %s, error %v", name, content, err)
		}
	}
}

func TestExampleEnv(t *testing.T) {
	root := tree(t, map[string]string{"a.env.example": "# why\n\n A=1\nB=x y\n", "b.env.example": "C=\n", "c.env": "D=1\n"})
	got, err := exampleEnv(root)
	if want := []string{"A=1", "B=x y", "C="}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, error %v", got, err)
	}
	// Not nil: a command without an example's environment gets none of ours.
	if got, err := exampleEnv(t.TempDir()); err != nil || got == nil || len(got) > 0 {
		t.Errorf("%#v, error %v", got, err)
	}
}

func TestCountReport(t *testing.T) {
	var log strings.Builder
	counts := &tally.Tally{Log: &log}
	countReport(counts, distro.Report{
		{Distribution: "debian-12", Scenario: "install", Status: distro.Passed},
		{Distribution: "debian-12", Scenario: "purge", Status: distro.Failed, Reason: "files are left", Logs: "dist/test/x"},
		{Distribution: "fedora", Scenario: "install", Status: distro.Skipped, Reason: "no image"},
	})
	_ = counts.Close()
	for _, want := range []string{"FAIL debian-12 purge", "files are left (see dist/test/x)", "SKIP fedora install", "no image", "\n1 passed, 1 failed, 1 skipped\n"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &log)
		}
	}
}

// Without binaries of this machine's kind nothing can read a configuration;
// that is no pass.
func TestConfigurationsOfOthers(t *testing.T) {
	b := built{Suite: Suite{Root: checkout, Log: io.Discard}, part: part{options: pipeline.Options{Arches: []string{"other"}}}}
	var skip tally.Skip
	if err := b.configurations(t.Context(), &tally.Tally{Log: io.Discard}); !errors.As(err, &skip) {
		t.Errorf("error %v", err)
	}
}

func TestDefinitions(t *testing.T) {
	if err := (Suite{Root: checkout}).definitions(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := (Suite{Root: t.TempDir()}).definitions(t.Context(), nil); err == nil {
		t.Error("no definitions are good definitions")
	}
}
