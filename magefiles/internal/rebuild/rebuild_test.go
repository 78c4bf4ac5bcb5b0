package rebuild

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/payload"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const good = `
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
	all, err := parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	deb, rpm := all.All[0], all.All[1]
	for _, c := range []struct {
		place Place
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
			text := strings.Replace(good, test.old, test.new, 1)
			if text == good {
				t.Fatal("nothing was replaced")
			}
			if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := parse(nil); err == nil {
		t.Error("no place is no error")
	}
}

// TestRebuilds reads the real file.
func TestRebuilds(t *testing.T) {
	all, err := Load("../../../tests/rebuild.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range all.All {
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
func TestContainer(t *testing.T) {
	line := func(j Job) string { return j.container("i", "l=1.2").Create(payload.Script(j.Format)...).String() }
	ours := line(Job{Place: Place{Format: pkgdef.Deb, Toolchain: OurToolchain}, GoRoot: "/go", Env: []string{"GOGC=off"}})
	for _, want := range []string{"--network none", "--volume /go:/usr/local/go:ro", "TOOLCHAIN=ours", "--env GOGC=off", "/opt/spire-packages/scenarios/deb.sh"} {
		if !strings.Contains(ours, want) {
			t.Errorf("%s lacks %s", ours, want)
		}
	}
	if strings.Contains(ours, "--cap-add") || strings.Contains(ours, "/cache") {
		t.Errorf("%s has more than it needs", ours)
	}
	own := line(Job{Place: Place{Format: pkgdef.RPM, Toolchain: OwnToolchain}, GoRoot: "/go", Cache: "/c"})
	if strings.Contains(own, "/usr/local/go") || !strings.Contains(own, "--volume /c:/cache") || !strings.Contains(own, "GOCACHE=/cache") {
		t.Errorf("%s", own)
	}
}

// A place of the suite that the source's tools are of has just their versions; others
// have what their suite has.
func TestToolsOfTheSource(t *testing.T) {
	tools := pkgdef.Tools{Suite: "bookworm", Native: map[string]string{"gcc-12": "12.2.0-14+deb12u1"}}
	for suite, want := range map[string]*pkgdef.Tools{"bookworm": &tools, "sid": nil} {
		place := Place{Image: matrix.Image{Suite: suite, Packages: []string{"rpm"}}}
		want := matrix.Image{Suite: suite, Packages: []string{"rpm"}, Tools: want}
		if diff := cmp.Diff(want, Job{Place: place, Tools: tools}.image()); diff != "" {
			t.Errorf("at %s: %s", suite, diff)
		}
	}
}
