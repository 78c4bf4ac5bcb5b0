package secret

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// takes has this program take its secrets, and tell what others see.
const takes = "SPIRE_TEST_TAKES"

const bird = "canary-4711"

// told is what the program says of itself.
type told struct {
	Secret, Token    string // as it gets them
	Process, Program string // environments: its own, in /proc, and that of what it starts
	Dumpable         int
}

func TestMain(m *testing.M) {
	if os.Getenv(takes) == "" {
		os.Exit(m.Run())
	}
	if err := Take(); err != nil {
		panic(err)
	}
	own, _ := os.ReadFile("/proc/self/environ") // nobody but root may
	command := exec.Command("sh", "-c", "cat /proc/self/environ /proc/$PPID/environ")
	command.Env = append(Environ(), "ONE=1")
	theirs, _ := command.Output()
	dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	_ = json.NewEncoder(os.Stdout).Encode(told{Get("SPIRE_SIGN_SECRET"), Get("GITHUB_TOKEN"), string(own), string(theirs), dumpable})
}

func TestTake(t *testing.T) {
	secret := bird + strings.Repeat("\nline", 20000) // more than a pipe holds
	command := exec.Command(os.Args[0])
	command.Env = append(Environ(), takes+"=1", "SPIRE_SIGN_SECRET="+secret, "SPIRE_SIGN_PASSPHRASE="+bird, "GITHUB_TOKEN="+bird, "ACTIONS_RUNTIME_TOKEN="+bird)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got told
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.Secret != secret || got.Token != bird {
		t.Errorf("the program has %q and %q", got.Secret, got.Token)
	}
	if strings.Contains(got.Process+got.Program, bird) || !strings.Contains(got.Program, "ONE=1") {
		t.Errorf("others see %q, and %q", got.Process, got.Program)
	}
	if got.Dumpable != 0 {
		t.Errorf("others can read the memory: dumpable is %d", got.Dumpable)
	}
}

func TestEnviron(t *testing.T) {
	for _, name := range Names {
		t.Setenv(name, bird)
	}
	if joined := strings.Join(Environ(), "\n"); strings.Contains(joined, bird) || !strings.Contains(joined, "PATH=") {
		t.Errorf("the environment is %s", joined)
	}
	if got := Get("GH_TOKEN"); got != bird {
		t.Errorf("nobody took it, and it is %q", got)
	}
}

// One place gives others an environment.
func TestNobodyElse(t *testing.T) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "secret.go" {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "os.Environ(") {
			t.Errorf("%s: secret.Environ is without secrets", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
