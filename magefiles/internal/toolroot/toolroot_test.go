package toolroot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

var tools = Tools{Suite: "bookworm", Versions: map[string]string{"gcc-12": "12.2.0-14+deb12u1", "musl-dev:arm64": "1.2.3-1"}}

func TestVersions(t *testing.T) {
	got := versions("installed gcc-12 amd64 12.2.0-14+deb12u1\ninstalled musl-dev arm64 1.2.3-1\nconfig-files tar amd64 1\ninstalled adduser all 3\n", "amd64")
	want := map[string]string{"gcc-12": "12.2.0-14+deb12u1", "musl-dev:arm64": "1.2.3-1", "adduser": "3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := tools.check("here", got); err != nil {
		t.Error(err)
	}
	got["gcc-12"] = "14.2.0-19"
	delete(got, "musl-dev:arm64")
	err := tools.check("this machine", got)
	if want := "this machine has gcc-12 14.2.0-19 instead of 12.2.0-14+deb12u1, musl-dev:arm64 none instead of 1.2.3-1"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestKey(t *testing.T) {
	other := Tools{Suite: "bookworm", Versions: map[string]string{"gcc-12": "12.2.0-14+deb12u2", "musl-dev:arm64": "1.2.3-1"}}
	if tools.key() == other.key() || !strings.HasPrefix(tools.key(), "bookworm-") {
		t.Errorf("%s and %s", tools.key(), other.key())
	}
}

func TestCommandWithTheMachinesOwn(t *testing.T) {
	c := run.New("gcc", "--version").In("/tmp")
	if diff := cmp.Diff(c, (Root{}).Command(c, "/srv")); diff != "" {
		t.Error(diff)
	}
}

// A root of busybox's kind, made of what this machine has: a shell is enough to see
// where a command is, and what it may write.
func TestCommandInARoot(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for _, name := range []string{"usr", "bin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := Root{Dir: dir}
	c := run.New("sh", "-c", `echo "$GREETING from $PWD, by $1" >said; ls /`, "sh", "sh").In(outside).WithEnv("GREETING=hello")
	said, err := root.Command(c, "/usr", "/bin", "/lib", "/lib64", outside).Output(t.Context())
	if err != nil {
		t.Skip("no mount namespace can be made here: ", err)
	}
	if strings.Contains(said, "home") {
		t.Errorf("it sees this machine: %s", said)
	}
	content, err := os.ReadFile(filepath.Join(outside, "said"))
	if want := "hello from " + outside + ", by sh\n"; err != nil || string(content) != want {
		t.Errorf("%q, %v, want %q", content, err, want)
	}
	// Nothing of it is left mounted here.
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left: %v", err)
	}
}

func TestDebstrap(t *testing.T) {
	with := tools
	with.Snapshot = "20261101T000000Z"
	if got := with.mirrors(); len(got) != 2 || !strings.Contains(got[0], with.Snapshot) || got[1] != "" {
		t.Errorf("mirrors %q", got)
	}
	line := tools.debstrap("", "/x.tar").String()
	for _, want := range []string{"--include=gcc-12,musl-dev:arm64", "bookworm /x.tar"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
	if strings.Contains(line, "Check-Valid-Until") || !strings.Contains(tools.debstrap("http://there/", "/x.tar").String(), "Check-Valid-Until") {
		t.Error("old lists are taken from the suite, or not from a snapshot")
	}
}
