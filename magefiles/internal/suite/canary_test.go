package suite

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hosted"
)

// canary stands in the way of every program that a step starts, and looks for
// secrets in its environment, and in that of the program that started it, and so on.
type canary struct {
	environment []string // to be put into a step's
	dir         string
}

// newCanary looks for the given texts.
func newCanary(t *testing.T, secrets []string) canary {
	t.Helper()
	c := canary{dir: t.TempDir()}
	bin := filepath.Join(c.dir, "bin")
	if err := artifact.WriteBytes(c.file("secrets"), 0o600, []byte(strings.Join(secrets, "\n")+"\n")); err != nil {
		t.Fatal(err)
	}
	for _, name := range hosted.Programs() {
		real, err := exec.LookPath(name)
		if err != nil {
			continue // not here: nothing starts it
		}
		script := fmt.Sprintf(`#!/bin/sh
pid=$$
while [ "$pid" -gt 1 ]; do
	grep -qsaFf %[1]s/secrets /proc/$pid/environ && echo "%[2]s: of the process $pid" >>%[1]s/found
	pid=$(sed 's/.*) . //; s/ .*//' /proc/$pid/stat)
done
echo %[2]s >>%[1]s/seen
exec %[3]s "$@"
`, c.dir, name, real)
		if err := artifact.WriteBytes(filepath.Join(bin, name), 0o755, []byte(script)); err != nil {
			t.Fatal(err)
		}
	}
	c.environment = []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
	return c
}

func (c canary) file(name string) string { return filepath.Join(c.dir, name) }

// check wants programs that were started, none of them with a secret.
func (c canary) check(t *testing.T) {
	t.Helper()
	seen, err := os.ReadFile(c.file("seen"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(seen))
	t.Logf("%d programs were looked at: %q", len(names), slices.Compact(slices.Sorted(slices.Values(names))))
	if found, err := os.ReadFile(c.file("found")); err == nil {
		t.Errorf("secrets are in the environment:\n%s", found)
	}
}

// The canary sings.
func TestCanary(t *testing.T) {
	for _, c := range []struct {
		variable string
		want     string
	}{{"SPIRE_X=none", ""}, {"SPIRE_X=a feather", "git: of the process"}} {
		canary := newCanary(t, []string{"a feather"})
		command := exec.Command("sh", "-c", "git --version")
		command.Env = append(append(os.Environ(), canary.environment...), c.variable)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		found, _ := os.ReadFile(canary.file("found"))
		if !strings.Contains(string(found), c.want) || c.want == "" && len(found) > 0 {
			t.Errorf("%s: found %q", c.variable, found)
		}
	}
}
