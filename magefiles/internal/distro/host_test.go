package distro

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func TestCommands(t *testing.T) {
	c := container{name: "spire-packages-x", image: "image:1", owner: "7.9", cgroups: "/sys/fs/cgroup/unified"}
	rpm := Target{Distribution{Format: pkgdef.RPM, Manager: "zypper", Image: Image{StandIn: true}}, runtime.GOARCH}
	deb := Target{Distribution{Format: pkgdef.Deb}, "mips"}
	for _, test := range []struct {
		command run.Command
		want    string
	}{
		{c.create(), `docker create --name spire-packages-x --hostname spire-packages` +
			` --label spire-packages.owner=7.9 --network none --cap-add ALL --cap-drop SYS_RESOURCE` +
			` --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host` +
			` --volume /sys/fs/cgroup/unified:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec` +
			` --stop-signal SIGRTMIN+3 --env container=docker --entrypoint /lib/systemd/systemd image:1`},
		{container{network: true, web: "/w"}.create(), `docker create --name '' --hostname spire-packages` +
			` --label spire-packages.owner= --network host --cap-add ALL --cap-drop SYS_RESOURCE` +
			` --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host` +
			` --volume :/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec` +
			` --stop-signal SIGRTMIN+3 --env container=docker --volume /w:/opt/spire-packages/web --entrypoint /lib/systemd/systemd ''`},
		// A host with cgroup v2 alone.
		{container{name: "x", cgroups: "/sys/fs/cgroup", image: "image:1"}.create(), `docker create --name x --hostname spire-packages` +
			` --label spire-packages.owner= --network none --cap-add ALL --cap-drop SYS_RESOURCE` +
			` --security-opt seccomp=unconfined --security-opt apparmor=unconfined --cgroupns host` +
			` --volume /sys/fs/cgroup:/sys/fs/cgroup:rw --tmpfs /run --tmpfs /run/lock --tmpfs /tmp:exec` +
			` --stop-signal SIGRTMIN+3 --env container=docker --entrypoint /lib/systemd/systemd image:1`},
		{pullImage("127.0.0.1:5000/x:1", "arm64"), `docker pull --quiet --platform linux/arm64 127.0.0.1:5000/x:1`},
		{c.prepare("true", []string{"curl", "gpg"}), `docker run --name spire-packages-x --label spire-packages.owner=7.9` +
			` --network host --entrypoint /bin/sh image:1 -ec true sh curl gpg`},
		{c.commit("x:1"), `docker commit --change 'LABEL spire-packages.owner=' spire-packages-x x:1`},
		{c.put(), `docker cp --quiet - spire-packages-x:/`},
		{c.start(), `docker start spire-packages-x`},
		{c.stop(), `docker stop spire-packages-x`},
		{script(c, deb, "works", 1, nil), `docker exec --env PLACE=` + deb.Name() + ` --env FORMAT=deb --env CLIENT=apt --env STANDIN= --env ARCH=mips --env PKGARCH= --env PATIENCE=12 --env PHASE=1` +
			` spire-packages-x /bin/sh -c 'exec /bin/sh "$0" 2>&1' /opt/spire-packages/scenarios/works.sh`},
		{script(c, rpm, "works", 2, []string{"BASE=http://x"}), `docker exec --env PLACE=` + rpm.Name() + ` --env FORMAT=rpm --env CLIENT=zypper --env STANDIN=yes --env ARCH=` + runtime.GOARCH + ` --env PKGARCH=` + architecture.Own().RPM + ` --env PATIENCE=3 --env PHASE=2 --env BASE=http://x` +
			` spire-packages-x /bin/sh -c 'exec /bin/sh "$0" 2>&1' /opt/spire-packages/scenarios/works.sh`},
		{importImage("/c/x.tar", "image:1"), `docker import /c/x.tar image:1`},
		{root{Image{Suite: "bookworm", Packages: []string{"curl", "apt", "curl"}}, "arm64"}.command(""),
			`mmdebstrap --variant=minbase --format=tar --architectures=arm64 --include=apt,curl bookworm -`},
		// That any age is taken must not stay in the root.
		{root{Image{Suite: "sid", Packages: []string{"curl"}, AnyAge: true}, "amd64"}.command(""),
			`mmdebstrap --variant=minbase --format=tar --architectures=amd64 --include=curl` +
				` '--aptopt=Acquire::Check-Valid-Until "false"' '--customize-hook=rm "$1"/etc/apt/apt.conf.d/99mmdebstrap' sid -`},
	} {
		if got := test.command.String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// TestRecipeHash: what changes the root changes its name, and nothing else.
func TestRecipeHash(t *testing.T) {
	base := root{Image{Suite: "bookworm", Packages: []string{"curl", "dbus"}}, "amd64"}
	same := root{Image{Suite: "bookworm", Packages: []string{"dbus", "curl"}, StandIn: true}, "amd64"}
	if base.hash() != same.hash() {
		t.Error("the order of packages, or the stand-in, changes the hash")
	}
	for name, other := range map[string]root{
		"suite":        {Image{Suite: "trixie", Packages: []string{"curl", "dbus"}}, "amd64"},
		"package":      {Image{Suite: "bookworm", Packages: []string{"curl"}}, "amd64"},
		"architecture": {Image{Suite: "bookworm", Packages: []string{"curl", "dbus"}}, "arm64"},
	} {
		if other.hash() == base.hash() {
			t.Errorf("another %s has the same hash", name)
		}
	}
	if !strings.Contains(base.file(), base.hash()) || !strings.HasSuffix(base.tag(), base.hash()) {
		t.Errorf("%s and %s do not carry the hash %s", base.file(), base.tag(), base.hash())
	}
}

// TestTarball runs a stand-in for mmdebstrap, by its name in PATH.
func TestTarball(t *testing.T) {
	r := root{Image{Suite: "bookworm", Packages: []string{"curl"}}, "amd64"}
	programs := t.TempDir()
	t.Setenv("PATH", programs)
	cache := filepath.Join(t.TempDir(), "cache")

	if _, err := r.tarball(t.Context(), cache, io.Discard); !errors.Is(err, ErrSkip) {
		t.Errorf("without mmdebstrap: %v, want ErrSkip", err)
	}
	program(t, programs, "mmdebstrap", "echo half; exit 3")
	if _, err := r.tarball(t.Context(), cache, io.Discard); err == nil || exists(filepath.Join(cache, r.file())) {
		t.Errorf("a root that failed half way: %v, and it is kept: %t", err, exists(filepath.Join(cache, r.file())))
	}
	left := filepath.Join(cache, "root-x.tar.tmp-1")
	write(t, left, "of a killed run")
	program(t, programs, "mmdebstrap", "echo whole")
	path, err := r.tarball(t.Context(), cache, io.Discard)
	if text, _ := os.ReadFile(path); err != nil || string(text) != "whole\n" {
		t.Errorf("made %q, %v", text, err)
	}
	if exists(left) {
		t.Error("what a killed run left is still there")
	}
	program(t, programs, "mmdebstrap", "exit 3")
	if _, err := r.tarball(t.Context(), cache, io.Discard); err != nil {
		t.Errorf("a root that is there is made again: %v", err)
	}
}

func program(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
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

// TestSkippedAloud: no daemon is no failure, and no silence.
func TestSkippedAloud(t *testing.T) {
	var log strings.Builder
	h, place := emptyHost(t, &log)
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	report, err := h.Run(t.Context(), []Target{place}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if report.Count(Skipped) != 2 || report.Count(Passed) != 0 || report.Err() != nil {
		t.Errorf("report %v", report)
	}
	if got := log.String(); !strings.Contains(got, "skipped: "+ErrSkip.Error()) {
		t.Errorf("progress says %q", got)
	}
}

// emptyHost has two scenarios that do nothing.
func emptyHost(t *testing.T, log io.Writer) (*Host, Target) {
	t.Helper()
	h := &Host{Cache: t.TempDir(), Reports: t.TempDir(), Scenarios: t.TempDir(), Log: log}
	write(t, filepath.Join(h.Scenarios, "a.sh"), "")
	write(t, filepath.Join(h.Scenarios, "b.sh"), "")
	return h, Target{Distribution{Name: "debian-12", Format: pkgdef.Deb}, runtime.GOARCH}
}

func TestRunRefuses(t *testing.T) {
	h, place := emptyHost(t, nil)
	for name, test := range map[string]struct {
		places    []Target
		scenarios []string
		want      string
	}{
		"no place":    {nil, []string{"a"}, "no place"},
		"no scenario": {[]Target{place}, nil, "no scenario to run"},
		"scenario":    {[]Target{place}, []string{"c"}, `no scenario "c"`},
		"path":        {[]Target{place}, []string{"../a"}, `no scenario "../a"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Run(t.Context(), test.places, test.scenarios); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRunAfterCancel(t *testing.T) {
	h, place := emptyHost(t, nil)
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := h.Run(ctx, []Target{place}, []string{"a"}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestProgress(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{progress("debian-12", "install", 3210*time.Millisecond, ""), "debian-12       install     3.2s"},
		{Result{Distribution: "debian-12", Scenario: "works", Status: Passed, Seconds: 12.34}.String(), "debian-12       works      12.3s"},
		{Result{Distribution: "rpm-4.18", Scenario: "works", Status: Failed, Reason: "x, expected y, got z"}.String(),
			"rpm-4.18        works       0.0s  FAILED: x, expected y, got z"},
	} {
		if test.got != test.want {
			t.Errorf("got  %q\nwant %q", test.got, test.want)
		}
	}
}

func TestReport(t *testing.T) {
	report := Report{
		{Distribution: "a", Scenario: "x", Status: Passed},
		{Distribution: "a", Scenario: "y", Status: Failed, Reason: "broken"},
		{Distribution: "b", Scenario: "x", Status: Skipped, Reason: "no daemon"},
	}
	if report.Count(Passed) != 1 || report.Count(Failed) != 1 || report.Count(Skipped) != 1 {
		t.Errorf("counts of %v", report)
	}
	if err := report.Err(); err == nil || err.Error() != "a y: broken" {
		t.Errorf("error %v", err)
	}
}

func TestTranscript(t *testing.T) {
	exit := &run.Error{Line: "docker exec c /bin/sh x.sh", Code: 7}
	for name, test := range map[string]struct {
		writes []string
		err    error
		checks int
		reason string
	}{
		"its own word":       {[]string{"ok: a\nFAIL: b, expected c\nmore\n"}, exit, 1, "b, expected c"},
		"in pieces":          {[]string{"o", "k: a\nok", ": b\nFA", "IL: c"}, exit, 2, "c"},
		"no word of its own": {[]string{"ok: a\nsh: x: not found\n\n"}, exit, 1, "exit code 7 after: sh: x: not found"},
		"silence":            {nil, exit, 0, "exit code 7 without a word"},
		"not in a line":      {[]string{"  ok: a\nnot FAIL: b\n"}, exit, 0, "exit code 7 after: not FAIL: b"},
		"the driver's":       {[]string{"ok: a\n"}, errors.New("took longer\nthan 5m0s"), 1, "took longer than 5m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := openTranscript(filepath.Join(t.TempDir(), "x"))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range test.writes {
				if _, err := said.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if err := said.Close(); err != nil {
				t.Fatal(err)
			}
			if got := said.reason(test.err); got != test.reason || said.checks != test.checks {
				t.Errorf("%d checks, %q; want %d, %q", said.checks, got, test.checks, test.reason)
			}
		})
	}
}

// TestPack: owner, mode and place do not depend on whose files they are.
func TestPack(t *testing.T) {
	h := Host{Scenarios: t.TempDir(), Library: t.TempDir(), Folders: map[string]string{"expected": t.TempDir()}}
	if err := os.Mkdir(filepath.Join(h.Scenarios, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.Scenarios, "a.sh"), "true")
	write(t, filepath.Join(h.Scenarios, "more", "b.sh"), "false")
	write(t, filepath.Join(h.Library, "c.sh"), "false")
	write(t, filepath.Join(h.Folders["expected"], "a.files"), "")
	deb := filepath.Join(t.TempDir(), "a.deb")
	write(t, deb, "deb")
	var stream bytes.Buffer
	if err := pack(&stream, []string{deb}, h.scripts(), container{web: "/w", emulated: true}.units()...); err != nil {
		t.Fatal(err)
	}
	var got []string
	eachMember(t, &stream, func(header *tar.Header, _ string) {
		got = append(got, header.FileInfo().Mode().String()+" "+header.Name)
		if header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", header.Name, header.Uid, header.Gid)
		}
	})
	want := `drwxr-xr-x var/log/journal/
drwxr-xr-x opt/spire-packages/
drwxr-xr-x opt/spire-packages/packages/
drwxr-xr-x opt/spire-packages/expected/
drwxr-xr-x opt/spire-packages/scenarios/
drwxr-xr-x opt/spire-packages/scenarios/lib/
L--------- etc/systemd/system/systemd-modules-load.service
-rw-r--r-- etc/systemd/system/test-web.socket
-rw-r--r-- etc/systemd/system/test-web.service
-rw-r--r-- etc/systemd/system/sockets.target.d/test-web.conf
-rw-r--r-- etc/systemd/system/service.d/emulated.conf
-rw-r--r-- opt/spire-packages/packages/a.deb
-rw-r--r-- opt/spire-packages/expected/a.files
-rw-r--r-- opt/spire-packages/scenarios/a.sh
drwxr-xr-x opt/spire-packages/scenarios/more/
-rw-r--r-- opt/spire-packages/scenarios/more/b.sh
-rw-r--r-- opt/spire-packages/scenarios/lib/c.sh`
	if strings.Join(got, "\n") != want {
		t.Errorf("packed:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}
