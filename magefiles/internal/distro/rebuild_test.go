package distro

import (
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const goodRebuilds = `
places:
  - name: debian-12
    format: deb
    image: {suite: bookworm, packages: [build-essential]}
    toolchain: ours
    tier: blocking
    differs:
      - {format: deb, item: content /usr/bin/.*, reason: another compiler}
  - name: rpm-4.18
    format: rpm
    image: {suite: bookworm, packages: [rpm]}
    toolchain: its own
    tier: informing
differs:
  - {format: rpm, item: 'requires rpmlib\(.*\).*', reason: rpm's own}
`

func TestRebuildReason(t *testing.T) {
	all, err := parseRebuilds([]byte(goodRebuilds))
	if err != nil {
		t.Fatal(err)
	}
	deb, rpm := all.Targets[0], all.Targets[1]
	for _, c := range []struct {
		place Rebuild
		item  string
		want  string
	}{
		{deb, "content /usr/bin/spire-agent", "another compiler"},
		{deb, "content /usr/bin", ""},
		{deb, "file content /usr/bin/spire-agent", ""},
		{deb, "content /etc/usr/bin/x", ""},
		{deb, "requires rpmlib(X) <= 1", ""},      // the other format's
		{rpm, "content /usr/bin/spire-agent", ""}, // the other place's
		{rpm, "requires rpmlib(PayloadIsZstd) <= 5.4.18-1", "rpm's own"},
		{rpm, "requires /bin/sh", ""},
	} {
		if got, ok := all.Reason(c.place, c.item); got != c.want || ok != (c.want != "") {
			t.Errorf("%s at %s: %q, %v; want %q", c.item, c.place.Name, got, ok, c.want)
		}
	}
}

func TestRebuildsRefused(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"toolchain":     {"toolchain: ours", "toolchain: some", `toolchain "some"`},
		"no reason":     {"reason: another compiler", "reason: ''", "needs an item, a format and a reason"},
		"no item":       {"item: content /usr/bin/.*", "item: ''", "needs an item"},
		"no expression": {"content /usr/bin/.*", "'('", "missing closing )"},
		"format":        {"{format: deb, item", "{format: apk, item", "needs an item, a format"},
		"tier":          {"tier: blocking", "tier: x", `tier "x"`},
		"suite":         {"suite: bookworm, packages: [build", "suite: --x, packages: [build", `suite "--x"`},
		"unknown key":   {"toolchain: ours", "toolhcain: ours", "field toolhcain not found"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(goodRebuilds, test.old, test.new, 1)
			if text == goodRebuilds {
				t.Fatal("nothing was replaced")
			}
			if _, err := parseRebuilds([]byte(text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := parseRebuilds(nil); err == nil {
		t.Error("no place is no error")
	}
}

// TestRebuilds reads the real file.
func TestRebuilds(t *testing.T) {
	all, err := LoadRebuilds("../../../tests/rebuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range all.Targets {
		// The programs and the scripts are the point: nobody may excuse them
		// where our own toolchain builds.
		for _, item := range []string{"content /usr/bin/spire-server", "scriptlet postinst", "scriptlet PREIN", "conffile /etc/x", "requires x", "depends x", "file /usr/bin/x"} {
			if reason, ok := all.Reason(place, item); ok && (place.Toolchain == OurToolchain || !strings.HasPrefix(item, "content ")) {
				t.Errorf("%s: %s may differ: %s", place.Name, item, reason)
			}
		}
	}
}

// What the driver asks of Docker for a build: no network, no right, our Go
// read-only.
func TestCreateJob(t *testing.T) {
	c := container{name: "n", image: "i", owner: "1.2"}
	ours := c.createJob(Job{Rebuild: Rebuild{Format: pkgdef.Deb, Toolchain: OurToolchain}, GoRoot: "/go", Env: []string{"GOGC=off"}}).String()
	for _, want := range []string{"--network none", "--volume /go:/usr/local/go:ro", "TOOLCHAIN=ours", "--env GOGC=off", "/opt/spire-packages/scenarios/deb.sh"} {
		if !strings.Contains(ours, want) {
			t.Errorf("%s lacks %s", ours, want)
		}
	}
	if strings.Contains(ours, "--cap-add") || strings.Contains(ours, "/cache") {
		t.Errorf("%s has more than it needs", ours)
	}
	own := c.createJob(Job{Rebuild: Rebuild{Format: pkgdef.RPM, Toolchain: OwnToolchain}, GoRoot: "/go", Cache: "/c"}).String()
	if strings.Contains(own, "/usr/local/go") || !strings.Contains(own, "--volume /c:/cache") || !strings.Contains(own, "GOCACHE=/cache") {
		t.Errorf("%s", own)
	}
}

// Only a row that says so takes lists of any age, and only its root changes.
func TestAnyAge(t *testing.T) {
	dated := root{image: Image{Suite: "sid"}, arch: "amd64"}
	moving := root{image: Image{Suite: "sid", AnyAge: true}, arch: "amd64"}
	if strings.Contains(dated.command("").String(), "Valid-Until") || !strings.Contains(moving.command("").String(), "Check-Valid-Until") {
		t.Errorf("%s\n%s", dated.command(""), moving.command(""))
	}
	if dated.hash() == moving.hash() {
		t.Error("two roots under one name")
	}
}

// A place of the suite that the source's tools are of has just their versions, and the
// root another name; others have what their suite has.
func TestToolsOfTheSource(t *testing.T) {
	tools := pkgdef.Tools{Suite: "bookworm", Snapshot: "20261128T000000Z", Native: map[string]string{"gcc-12": "12.2.0-14+deb12u1", "rpm": "4.18.0"}}
	places := func(suite string) (with, without root) {
		place := Rebuild{Image: Image{Suite: suite, Packages: []string{"rpm", "build-essential"}}}
		return root{Job{Rebuild: place, Tools: tools}.image(), "amd64"}, root{place.Image, "amd64"}
	}
	with, without := places("bookworm")
	got := with.command("http://there/").String()
	for _, want := range []string{"--include=build-essential,gcc-12=12.2.0-14+deb12u1,rpm=4.18.0 ", "Check-Valid-Until", "bookworm - http://there/"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if with.hash() == without.hash() {
		t.Error("two roots under one name")
	}
	if with, without := places("sid"); with.hash() != without.hash() || with.mirror(t.Context()) != "" {
		t.Errorf("another suite has the tools, too: %s", with.command(""))
	}
}
