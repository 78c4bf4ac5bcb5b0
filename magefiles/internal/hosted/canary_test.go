package hosted

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The canary sings, and does not stand in the way of what it watches.
func TestCanary(t *testing.T) {
	for variable, want := range map[string]string{"SPIRE_X=none": "", "SPIRE_X=a feather": "git: of the process"} {
		m := Machine{Place: t.TempDir()}
		if err := os.MkdirAll(m.Store("canary"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := m.watch([]string{"a feather"}); err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(t.TempDir(), "bin")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		// Where the jobs have it, it is not here.
		here := strings.NewReplacer(storeDir, m.Store(), inside+"/canary/bin", bin, inside, m.Place).Replace(canary)
		if err := os.WriteFile(filepath.Join(bin, "git"), []byte(here), 0o755); err != nil {
			t.Fatal(err)
		}
		command := exec.Command("sh", "-c", "git --version")
		command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), variable)
		if out, err := command.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "git version") {
			t.Errorf("%v\n%s", err, out)
		}
		found, err := m.Watched()
		if !strings.Contains(found, want) || want == "" && found != "" || err != nil {
			t.Errorf("%s: found %q, %v", variable, found, err)
		}
		if err := m.Forget(); err != nil {
			t.Fatal(err)
		}
		if found, err := m.Watched(); found != "" || err == nil {
			t.Errorf("after it has forgotten, it has found %q, and says %v", found, err)
		}
	}
}
