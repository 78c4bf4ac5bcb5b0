package container

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestCommands(t *testing.T) {
	c := Container{Name: "spire-packages-x", Image: "image:1", Label: "spire-packages.owner=7.9", Network: "none"}
	web := Container{Name: "x", Image: "image:1", Label: "spire-packages.owner=", Network: "host", Volumes: []string{"/w:/opt/spire-packages/web"}}
	workshop := c
	workshop.Network = "host"
	for _, test := range []struct {
		command run.Command
		want    string
	}{
		{c.WithSystemd("/sys/fs/cgroup/unified").Create(), `docker create --name spire-packages-x --hostname spire-packages` +
			` --label spire-packages.owner=7.9 --network none --cap-add ALL --cap-drop SYS_RESOURCE` +
			` --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host` +
			` --volume /sys/fs/cgroup/unified:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec` +
			` --stop-signal SIGRTMIN+3 --env container=docker --entrypoint /lib/systemd/systemd image:1`},
		// A host with cgroup v2 alone.
		{web.WithSystemd("/sys/fs/cgroup").Create(), `docker create --name x --hostname spire-packages` +
			` --label spire-packages.owner= --network host --cap-add ALL --cap-drop SYS_RESOURCE` +
			` --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host` +
			` --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec` +
			` --stop-signal SIGRTMIN+3 --env container=docker --volume /w:/opt/spire-packages/web --entrypoint /lib/systemd/systemd image:1`},
		{Container{Image: "image:1", Network: "none", User: "1:2", Dir: "/d", Env: []string{"A", "B="}, Volumes: []string{"/v:/v"}, Devices: []string{"/dev/kvm"}, Remove: true, Init: true, Stdin: true}.WithoutRights().Run("cc", "-v"),
			`docker run --rm --init --interactive --network none --security-opt no-new-privileges --cap-drop ALL --user 1:2 --workdir /d` +
				` --env A --env B= --volume /v:/v --device /dev/kvm image:1 cc -v`},
		{pull("127.0.0.1:5000/x:1", "arm64"), `docker pull --quiet --platform linux/arm64 127.0.0.1:5000/x:1`},
		{workshop.Script("true", []string{"curl", "gpg"}), `docker run --name spire-packages-x --label spire-packages.owner=7.9` +
			` --network host --entrypoint /bin/sh image:1 -ec true sh curl gpg`},
		{Container{Name: "x", Image: "image:1", Network: "n", Alias: "peer"}.Create(), `docker create --name x --network n --network-alias peer image:1`},
		{Network{Name: "n", Label: "spire-packages.owner=7.9"}.Create(), `docker network create --internal --label spire-packages.owner=7.9 n`},
		{c.Commit("x:1"), `docker commit --change 'LABEL spire-packages.owner=' spire-packages-x x:1`},
		{c.Put(), `docker cp --quiet - spire-packages-x:/`},
		{c.Take("/out", "/here"), `docker cp --quiet spire-packages-x:/out/. /here`},
		{c.Start(), `docker start spire-packages-x`},
		{c.Attach(), `docker start --attach spire-packages-x`},
		{c.Stop(), `docker stop spire-packages-x`},
		{c.Exec([]string{"A=1", "B="}, "sh", "x.sh"), `docker exec --env A=1 --env B= spire-packages-x sh x.sh`},
		{Import("/c/x.tar", "image:1"), `docker import /c/x.tar image:1`},
	} {
		if got := test.command.String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

func TestCgroupTree(t *testing.T) {
	mount := t.TempDir()
	if _, err := cgroupTree(mount); !errors.Is(err, ErrSkip) {
		t.Errorf("v1 only: %v, want ErrSkip", err)
	}
	hybrid := filepath.Join(mount, "unified")
	if err := os.Mkdir(hybrid, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(hybrid, "cgroup.controllers"), "")
	if got, err := cgroupTree(mount); err != nil || got != hybrid {
		t.Errorf("hybrid: %s, %v", got, err)
	}
	write(t, filepath.Join(mount, "cgroup.controllers"), "cpu")
	if got, err := cgroupTree(mount); err != nil || got != mount {
		t.Errorf("v2: %s, %v", got, err)
	}
}

func TestOrphans(t *testing.T) {
	proc := t.TempDir()
	if err := os.Mkdir(filepath.Join(proc, "42"), 0o700); err != nil {
		t.Fatal(err)
	}
	stat := "42 (a) b (c) S 1 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 777 22"
	write(t, filepath.Join(proc, "42", "stat"), stat)
	if owner, err := ownerOf(proc, "42"); err != nil || owner != "42.777" {
		t.Fatalf("owner %s, %v; want 42.777", owner, err)
	}
	list := "alive\t42.777\nreused\t42.500\ndead\t43.777\nforeign\tsomebody\nempty\t\nnone"
	if got := strings.Join(orphans(proc, list), " "); got != "reused dead" {
		t.Errorf("orphans %q, want %q", got, "reused dead")
	}
}

func TestOwnerOfThisProcess(t *testing.T) {
	owner, err := ownerOf(proc, "self")
	if err != nil || !strings.HasPrefix(owner, "self.") || owner == "self.0" {
		t.Errorf("owner %q, %v", owner, err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestProgress(t *testing.T) {
	if got, want := Progress("debian-12", "install", 3210*time.Millisecond, ""), "debian-12       install     3.2s"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// No other package has a second way of saying what Docker shall do. Tests may, as for
// what only a test asks of it.
func TestOnlyUser(t *testing.T) {
	read := 0
	err := filepath.WalkDir("../..", func(file string, entry fs.DirEntry, err error) error {
		ours := filepath.Base(filepath.Dir(file)) == "container" || strings.HasSuffix(file, "_test.go")
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" || ours {
			return err
		}
		content, err := os.ReadFile(file)
		if dockers.Match(content) {
			t.Errorf("%s runs docker by itself", file)
		}
		read++
		return err
	})
	if err != nil || read == 0 {
		t.Errorf("%d files read, %v", read, err)
	}
}

// dockers are commands of Docker's, as Go or a shell has them.
var dockers = regexp.MustCompile(`New\("docker"|Name = "docker"|\bctx, "docker"|\bdocker (import|run|create|pull|cp|exec)\b`)
