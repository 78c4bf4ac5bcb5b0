package suite

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/scenario"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// checkout is the repository that these tests are in.
var checkout = filepath.Join("..", "..", "..")

func TestTally(t *testing.T) {
	missing := tool.Missing{Programs: []string{"rpm"}}
	for name, c := range map[string]struct {
		results []error
		last    string
		err     string // empty for none
	}{
		"nothing ran":          {nil, "0 passed, 0 failed, 0 skipped", "no test ran"},
		"pass":                 {[]error{nil, nil}, "2 passed, 0 failed, 0 skipped", ""},
		"fail":                 {[]error{errors.New("bad")}, "0 passed, 1 failed, 0 skipped", "1 test failed"},
		"fail and pass":        {[]error{nil, errors.New("bad"), errors.New("worse")}, "1 passed, 2 failed, 0 skipped", "2 tests failed"},
		"skip":                 {[]error{nil, Skip{"no room"}}, "1 passed, 0 failed, 1 skipped", ""},
		"wrapped skip":         {[]error{nil, fmt.Errorf("there: %w", Skip{"no room"})}, "1 passed, 0 failed, 1 skipped", ""},
		"missing tool":         {[]error{nil, missing}, "1 passed, 0 failed, 1 skipped", ""},
		"skips only":           {[]error{Skip{"no room"}, missing}, "0 passed, 0 failed, 2 skipped", "no test ran"},
		"a skip hides no fail": {[]error{nil, Skip{"no room"}, errors.New("bad")}, "1 passed, 1 failed, 1 skipped", "1 test failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			tally := &Tally{Log: &log}
			for i, err := range c.results {
				tally.Count(fmt.Sprint("part ", i), err, 0)
			}
			err := tally.Close()
			if got := fmt.Sprint(err); c.err == "" && err != nil || c.err != "" && got != c.err {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !strings.HasSuffix(log.String(), "\n"+c.last+"\n") && log.String() != c.last+"\n" {
				t.Errorf("it does not end with %q:\n%s", c.last, &log)
			}
		})
	}
}

func TestTallySays(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log}
	check := func(name string, err error) Check {
		return Check{name, func(_ context.Context, t *Tally) error {
			t.Count(name, err, 1250*time.Millisecond)
			return errCounted
		}}
	}
	tally.Run(t.Context(), check("good", nil), check("bad", errors.New("it is broken")), check("absent", Skip{"no room"}),
		check("toolless", tool.Missing{Programs: []string{"rpmlint"}}))
	if err := tally.Close(); err == nil {
		t.Error("no error")
	}
	golden.Check(t, "tally.golden", log.String())
}

// A check counts once: by itself, or by what it returns.
func TestRunCounts(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context, *Tally) error
		last string
	}{
		"nil":           {func(context.Context, *Tally) error { return nil }, "1 passed, 0 failed, 0 skipped"},
		"error":         {func(context.Context, *Tally) error { return errors.New("bad") }, "0 passed, 1 failed, 0 skipped"},
		"counted":       {func(context.Context, *Tally) error { return errCounted }, "0 passed, 0 failed, 0 skipped"},
		"parts":         {func(_ context.Context, t *Tally) error { t.pass(); t.pass(); return errCounted }, "2 passed, 0 failed, 0 skipped"},
		"parts and bad": {func(_ context.Context, t *Tally) error { t.pass(); return errors.New("bad") }, "1 passed, 1 failed, 0 skipped"},
	} {
		var log strings.Builder
		tally := &Tally{Log: &log}
		tally.Run(t.Context(), Check{name, c.run})
		_ = tally.Close()
		if !strings.HasSuffix(log.String(), c.last+"\n") {
			t.Errorf("%s: it does not end with %q:\n%s", name, c.last, &log)
		}
	}
}

// A suite that was stopped has failed, and starts nothing more.
func TestCancelled(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log}
	ctx, cancel := context.WithCancel(t.Context())
	started := 0
	stop := Check{"stop", func(context.Context, *Tally) error { started++; cancel(); return nil }}
	tally.Run(ctx, stop, stop, stop)
	if err := tally.Close(); err == nil || started != 1 {
		t.Errorf("%d checks started, error %v", started, err)
	}
}

// events are the lines of `go test -json`.
func events(t *testing.T, lines string) *results {
	t.Helper()
	r := newResults()
	for line := range strings.Lines(lines) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		r.add(e)
	}
	return r
}

func TestEvents(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		last  string
		says  []string
	}{
		"subtests count, not what they are in": {`{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestAB"}
{"Action":"pass","Package":"p"}`, "3 passed, 0 failed, 0 skipped", nil},
		"a subtest fails": {`{"Action":"output","Package":"p","Test":"TestA/one","Output":"    a_test.go:1: no good\n"}
{"Action":"fail","Package":"p","Test":"TestA/one"}
{"Action":"pass","Package":"p","Test":"TestA/two"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"FAIL p TestA/one", "a_test.go:1: no good"}},
		"what it is in fails": {`{"Action":"pass","Package":"p","Test":"TestA/one"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:9: the sum is wrong\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"FAIL p TestA ", "the sum is wrong"}},
		"a skip says why": {`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:4: rpm is not installed\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`, "0 passed, 0 failed, 1 skipped", []string{"SKIP p TestA", "rpm is not installed"}},
		"a package does not compile": {`{"ImportPath":"p [p.test]","Action":"build-output","Output":"a_test.go:3:27: undefined: x\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`, "0 passed, 1 failed, 0 skipped", []string{"build failed", "undefined: x"}},
		"a package ends outside of its tests": {`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"exit status 3\n"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", []string{"exit status 3"}},
		"packages are apart": {`{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"q","Test":"TestA"}
{"Action":"fail","Package":"q"}
{"Action":"fail","Package":"p"}`, "1 passed, 2 failed, 0 skipped", nil},
		"a package without tests": {`{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`, "0 passed, 0 failed, 0 skipped", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			tally := &Tally{Log: &log}
			r := events(t, c.lines)
			r.count(tally)
			_ = tally.Close()
			if !strings.HasSuffix(log.String(), c.last+"\n") {
				t.Errorf("it does not end with %q:\n%s", c.last, &log)
			}
			for _, want := range c.says {
				if !strings.Contains(log.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, &log)
				}
			}
			if failed := !strings.Contains(c.last, " 0 failed"); r.failed != failed {
				t.Errorf("failed is %t", r.failed)
			}
		})
	}
}

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
	tally := &Tally{Log: &log}
	countReport(tally, scenario.Report{
		{Distribution: "debian-12", Scenario: "install", Status: scenario.Passed},
		{Distribution: "debian-12", Scenario: "purge", Status: scenario.Failed, Reason: "files are left", Logs: "dist/test/x"},
		{Distribution: "fedora", Scenario: "install", Status: scenario.Skipped, Reason: "no image"},
	})
	_ = tally.Close()
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
	var skip Skip
	if err := b.configurations(t.Context(), &Tally{Log: io.Discard}); !errors.As(err, &skip) {
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
