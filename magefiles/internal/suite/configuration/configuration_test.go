package configuration

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

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
)

func TestConfigurations(t *testing.T) {
	root := suitetest.Tree(t, map[string]string{
		"packages/spire-server/server.conf": "", "packages/spire-server/examples/nested/server-root.conf": "",
		"packages/spire-server/examples/nested/README.md": "", "packages/spire-server/package.yaml": "",
		"packages/spire-agent/agent.conf": "", "packages/spire-agent/examples/one/agent.env.example": "",
		"packages/oidc/oidc-discovery-provider.conf": "", "packages/oidc/examples/nginx/nginx.conf": "", "packages/oidc/examples/nginx/oidc-discovery-provider.conf": "",
		"units/spire-agent/drop-ins/agent.conf": "", "packages/spire-agent/examples/one/deeper/agent.conf": "",
	})
	files, err := shipped(root)
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
	if files, err := shipped(t.TempDir()); err == nil {
		t.Errorf("no configuration is no error: %v", files)
	}
}

// triedByItsPackage says whether a package's own test takes an example's configuration, or
// starts the unit whose configuration it is as it is installed.
func triedByItsPackage(file string) bool {
	name, err := filepath.Rel(filepath.Join(suitetest.Root, "packages"), file)
	pkg, rest, _ := strings.Cut(name, "/")
	test, err2 := os.ReadFile(filepath.Join(suitetest.Root, "packages", pkg, "test.sh"))
	example := strings.Contains(string(test), "/usr/share/"+pkg+"/"+rest+" ")
	installed := !strings.Contains(rest, "/") && strings.Contains(string(test), "starts $UNIT\n")
	return err == nil && err2 == nil && (example || installed)
}

// triedByTheExtras says whether the scenario of the extras follows the README beside an
// example, which takes the file.
func triedByTheExtras(t *testing.T, file string) bool {
	t.Helper()
	name, err := filepath.Rel(filepath.Join(suitetest.Root, "packages"), file)
	pkg, rest, _ := strings.Cut(name, "/")
	readme, err2 := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
	played, err3 := os.ReadFile(filepath.Join(suitetest.Root, "tests", "scenarios", "extras.sh"))
	if err != nil || err2 != nil || err3 != nil {
		return false
	}
	follows := "follow $EXAMPLES/" + filepath.Base(filepath.Dir(file)) + "/README.md\n"
	return strings.Contains(string(readme), "    ") && strings.Contains(string(readme), "/usr/share/"+pkg+"/"+rest+" ") && strings.Contains(string(played), follows)
}

// triedByTheFleet says whether the scenarios of servers that share a database take the file
// from its example.
func triedByTheFleet(file string) bool {
	name, err := filepath.Rel(filepath.Join(suitetest.Root, "packages"), file)
	fleet, err2 := os.ReadFile(filepath.Join(suitetest.Root, "tests", "scenarios", "lib", "fleet.sh"))
	example := "FAILOVER=/usr/share/" + filepath.Dir(name) + "\n"
	return err == nil && err2 == nil && strings.Contains(string(fleet), example) && strings.Contains(string(fleet), "$FAILOVER/"+filepath.Base(name))
}

// No configuration of ours goes unread because of its name or its place.
func TestEveryConfiguration(t *testing.T) {
	read, err := shipped(suitetest.Root)
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"nginx.conf"}
	err = filepath.WalkDir(filepath.Join(suitetest.Root, "packages"), func(name string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".conf") && !slices.Contains(read, name) && !slices.Contains(others, d.Name()) && !triedByItsPackage(name) && !triedByTheExtras(t, name) && !triedByTheFleet(name) {
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
	file := filepath.Join(suitetest.Tree(t, map[string]string{"server.conf": `a = "/etc/spire/server/root.crt" b = "/etc/spire/server/key" c = "/run/spire/oidc-discovery-provider/x.sock" d = "sslrootcert=/etc/spire/server/db-ca.crt"`}), "server.conf")
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
	root := suitetest.Tree(t, map[string]string{"a.env.example": "# why\n\n A=1\nB=x y\n", "b.env.example": "C=\n", "c.env": "D=1\n"})
	got, err := exampleEnv(root)
	if want := []string{"A=1", "B=x y", "C="}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, error %v", got, err)
	}
	// Not nil: a command without an example's environment gets none of ours.
	if got, err := exampleEnv(t.TempDir()); err != nil || got == nil || len(got) > 0 {
		t.Errorf("%#v, error %v", got, err)
	}
}

// Without binaries of this machine's kind nothing can read a configuration;
// that is no pass.
func TestConfigurationsOfOthers(t *testing.T) {
	b := subject.Build{Checkout: subject.Checkout{Root: suitetest.Root, Log: io.Discard}, Part: subject.Part{Options: pipeline.Options{Arches: []string{"other"}}}}
	var skip tally.Skip
	if err := Check(t.Context(), &tally.Tally{Log: io.Discard}, b); !errors.As(err, &skip) {
		t.Errorf("error %v", err)
	}
}
