package toolroot

import (
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// other is an architecture that is not this machine's.
var other = map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]

var source = pkgdef.Tools{
	Suite: "bookworm", Snapshot: "20261128T000000Z",
	Native: map[string]string{"gcc-12": "12.2.0-14+deb12u1", "musl-dev": "1.2.3-1"},
	Cross:  map[string]map[string]string{runtime.GOARCH + "-" + other: {"musl-dev:" + other: "1.2.3-1"}},
}

func want(t *testing.T, arch string) tools {
	t.Helper()
	found, err := wanted(source, arch)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestVersions(t *testing.T) {
	native := runtime.GOARCH
	got := versions("installed gcc-12 " + native + " 12.2.0-14+deb12u1\ninstalled musl-dev " + other + " 1.2.3-1\nconfig-files tar " + native + " 1\ninstalled adduser all 3\n")
	if diff := cmp.Diff(map[string]string{"gcc-12": "12.2.0-14+deb12u1", "musl-dev:" + other: "1.2.3-1", "adduser": "3"}, got); diff != "" {
		t.Error(diff)
	}
	if err := want(t, other).check("here", got); err != nil {
		t.Error(err)
	}
	got["gcc-12"] = "14.2.0-19"
	err := want(t, native).check("this machine", got)
	if text := "this machine has gcc-12 14.2.0-19 instead of 12.2.0-14+deb12u1, musl-dev none instead of 1.2.3-1"; err == nil || err.Error() != text {
		t.Errorf("%v, want %s", err, text)
	}
}

func TestUnknownMachine(t *testing.T) {
	if _, err := wanted(source, "s390x"); err == nil || !strings.Contains(err.Error(), "source.yaml names no tools that compile on "+runtime.GOARCH+" for s390x") {
		t.Error(err)
	}
}

// Where the source names another suite for an architecture, the root is of that one.
func TestOtherSuite(t *testing.T) {
	with := source
	with.Others = map[string]pkgdef.Tools{other: {Suite: "trixie", Snapshot: "20261129T000000Z", Cross: map[string]map[string]string{runtime.GOARCH + "-" + other: {"musl-dev:" + other: "1.2.5-3"}}}}
	root, err := wanted(with, other)
	if err != nil {
		t.Fatal(err)
	}
	if line := root.debstrap("", "/x.tar").String(); !strings.Contains(line, "--include=musl-dev:"+other+",fakeroot") || !strings.HasSuffix(line, " trixie /x.tar") || !strings.HasPrefix(root.key(), "trixie-") {
		t.Errorf("%s, %s", root.key(), line)
	}
	// Mirrors may lag with the updates for another architecture; a snapshot does not.
	for mirror, alone := range map[string]bool{"": true, "http://snapshot.example.org/": false} {
		if args := root.debstrap(mirror, "/x.tar").Args; slices.Contains(args, SuiteAlone("trixie")) != alone {
			t.Errorf("from %q: %q", mirror, args)
		}
	}
	name, _ := tool.CrossGCC(other)
	if scripts := root.scripts(); len(scripts) != 1 || scripts[name] == "" {
		t.Errorf("its scripts are %v", scripts)
	}
	if native, err := wanted(with, runtime.GOARCH); err != nil || native.Suite != "bookworm" {
		t.Errorf("for this machine: %s, %v", native.Suite, err)
	}
}

// Every architecture can be compiled for on every machine that GitHub has, by a compiler
// and libraries whose versions are named.
func TestEveryArchitecture(t *testing.T) {
	ours, err := pkgdef.LoadSource("../../..", "spire")
	if err != nil {
		t.Fatal(err)
	}
	for _, machine := range architecture.Native() {
		for _, arch := range architecture.All() {
			if arch == machine {
				continue
			}
			packages := strings.Join(slices.Collect(maps.Keys(ours.Tools.For(machine.Go, arch.Go))), " ")
			for _, want := range []string{"gcc-" + strings.ReplaceAll(arch.GNU, "_", "-"), "binutils-" + strings.ReplaceAll(arch.GNU, "_", "-"), "-dev:" + arch.Debian, "musl-dev:" + arch.Debian} {
				if !strings.Contains(packages, want) {
					t.Errorf("on %s, %s has no %s: %s", machine.Go, arch.Go, want, packages)
				}
			}
			if parts := ours.Tools.Parts(arch.Go); len(parts) != 2 || strings.Contains(strings.Join(parts, ""), "(= )") {
				t.Errorf("programs for %s have in them %q", arch.Go, parts)
			}
		}
	}
}

func TestKey(t *testing.T) {
	newer := source
	newer.Native = map[string]string{"gcc-12": "12.2.0-14+deb12u2", "musl-dev": "1.2.3-1"}
	later := source
	later.Snapshot = "20261129T000000Z"
	keys := map[string]bool{}
	for _, each := range []tools{want(t, runtime.GOARCH), want(t, other), {newer, newer.Native}, {later, later.Native}} {
		keys[each.key()] = true
		if !strings.HasPrefix(each.key(), "bookworm-") {
			t.Error(each.key())
		}
	}
	if len(keys) != 4 {
		t.Errorf("different tools, one root: %v", keys)
	}
}

// machine is a PATH with the given programs, which are shell scripts.
func machine(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func lines(versions map[string]string) string {
	var all strings.Builder
	for name, version := range versions {
		all.WriteString("echo installed " + name + " " + runtime.GOARCH + " " + version + "\n")
	}
	return all.String()
}

func TestFind(t *testing.T) {
	newer := map[string]string{"gcc-12": "14.2.0-19", "musl-dev": "1.2.5-3"}
	// An archive that moved on: the root that it gives has the newer ones.
	moved := map[string]string{
		"mmdebstrap": `for last; do case $last in *.tar) break;; esac; done
while [ $# -gt 0 ]; do case $1 in *.tar) to=$1;; esac; shift; done; : >"$to"`,
		"tar":        "exit 0",
		"dpkg-query": lines(newer),
	}
	for name, test := range map[string]struct {
		programs map[string]string
		unpinned string // what it says; empty where it is pinned
		err      string
	}{
		"this machine's own": {map[string]string{"dpkg-query": lines(source.Native)}, "", ""},
		"others, and no way": {
			map[string]string{"dpkg-query": lines(newer)},
			"this machine has gcc-12 14.2.0-19 instead of 12.2.0-14+deb12u1, and 1 more, and no root with those of Debian's bookworm can be made and entered: mmdebstrap is missing", "",
		},
		"no Debian, and the archive cannot be reached": {
			map[string]string{"mmdebstrap": "echo 'no such mirror' >&2; exit 1"},
			"gcc-12 none instead of 12.2.0-14+deb12u1, and 1 more, and no root with those of Debian's bookworm can be made and entered: making a root of Debian's bookworm: running mmdebstrap", "",
		},
		"the archive has others by now": {moved, "", "Debian's bookworm has gcc-12 14.2.0-19 instead of 12.2.0-14+deb12u1"},
	} {
		t.Run(name, func(t *testing.T) {
			machine(t, test.programs)
			cache := t.TempDir()
			root, err := Finder{Cache: cache, Log: io.Discard}.Find(t.Context(), source, runtime.GOARCH)
			var moved Other
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err) || !errors.As(err, &moved) {
					t.Errorf("%v, want %s", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case root.Dir != "" || (root.Unpinned == "") != (test.unpinned == "") || !strings.Contains(root.Unpinned, test.unpinned) || strings.Contains(root.Unpinned, "\n"):
				t.Errorf("%+v", root)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "bookworm-*")); len(left) > 0 {
				t.Errorf("a root that is not right stays: %q", left)
			}
		})
	}
}

// One of the tools is this machine's where its version is right, whatever the others are.
func TestFindFor(t *testing.T) {
	machine(t, map[string]string{"dpkg-query": lines(map[string]string{"gcc-12": source.Native["gcc-12"], "musl-dev": "1.2.5-3"})})
	finder := Finder{Cache: t.TempDir(), Log: io.Discard}
	if root, err := finder.FindFor(t.Context(), source, "gcc-12"); err != nil || root.Dir != "" || root.Unpinned != "" {
		t.Errorf("%+v, %v", root, err)
	}
	root, err := finder.FindFor(t.Context(), source, "musl-dev")
	if want := "this machine has musl-dev 1.2.5-3 instead of 1.2.3-1, and no root with those of Debian's bookworm can be made"; err != nil || !strings.HasPrefix(root.Unpinned, want) {
		t.Errorf("%+v, %v, want %s", root, err, want)
	}
	series := source
	series.Series = map[string]string{"musl-dev": "1.2"}
	if root, err := finder.FindFor(t.Context(), series, "musl-dev"); err != nil || root.Unpinned != "" {
		t.Errorf("of the series: %+v, %v", root, err)
	}
	series.Series["musl-dev"] = "1.2.5-"
	if root, err := finder.FindFor(t.Context(), series, "musl-dev"); err != nil || root.Unpinned == "" {
		t.Errorf("of another series: %+v, %v", root, err)
	}
	if _, err := finder.FindFor(t.Context(), source, "clang"); err == nil || err.Error() != "no version of clang is named" {
		t.Error(err)
	}
}

// Unpinned commands are as they were; pinned ones look for programs where Debian's
// packages have them.
func TestCommandHere(t *testing.T) {
	c := run.New("sh", "-c", "exit 0").In("/tmp").WithEnv("PATH=/usr/local/bin")
	if diff := cmp.Diff(c, (Root{Unpinned: "others"}).Command(c, "/srv")); diff != "" {
		t.Error(diff)
	}
	got := (Root{}).Command(c, "/srv")
	if got.Name != "/usr/bin/sh" || got.Dir != c.Dir || got.Env[len(got.Env)-1] != Path {
		t.Errorf("%+v", got)
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
	c := run.New("sh", "-c", `echo "$GREETING from $PWD, by $1, $(id -u)" >said; ls /`, "sh", "sh").In(outside).WithEnv("GREETING=hello")
	said, err := root.Owned(c, "/usr", "/bin", "/lib", "/lib64", outside).Output(t.Context())
	if err != nil {
		t.Skip("no mount namespace can be made here: ", err)
	}
	if strings.Contains(said, "home") {
		t.Errorf("it sees this machine: %s", said)
	}
	content, err := os.ReadFile(filepath.Join(outside, "said"))
	if want := "hello from " + outside + ", by sh, 0\n"; err != nil || string(content) != want {
		t.Errorf("%q, %v, want %q", content, err, want)
	}
	// Nothing of it is left mounted here.
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left: %v", err)
	}
}

func TestDebstrap(t *testing.T) {
	line := want(t, other).debstrap("", "/x.tar").String()
	for _, word := range []string{"--include=musl-dev:" + other + ",fakeroot", "--architectures=" + runtime.GOARCH + "," + other, "bookworm /x.tar"} {
		if !strings.Contains(line, word) {
			t.Errorf("%s lacks %s", line, word)
		}
	}
	if strings.Contains(line, "Check-Valid-Until") || !strings.Contains(want(t, other).debstrap("http://there/", "/x.tar").String(), "Check-Valid-Until") {
		t.Error("old lists are taken from the suite, or not from a snapshot")
	}
}
