package scenario

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/payload"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/transcript"
)

// What a script knows of its target.
func TestVars(t *testing.T) {
	rpm := matrix.Target{Distribution: matrix.Distribution{Format: pkgdef.RPM, Manager: "zypper", Image: matrix.Image{StandIn: true}}, Arch: runtime.GOARCH}
	deb := matrix.Target{Distribution: matrix.Distribution{Format: pkgdef.Deb}, Arch: "mips"}
	c := container.Container{Name: "spire-packages-x"}
	for _, test := range []struct {
		command run.Command
		want    string
	}{
		{c.Exec(vars(deb, 1, nil), payload.Script("works")...), `docker exec --env PLACE=` + deb.Name() + ` --env FORMAT=deb --env CLIENT=apt --env STANDIN= --env ARCH=mips --env PKGARCH= --env PATIENCE=12 --env PHASE=1` +
			` spire-packages-x /bin/sh -c 'exec /bin/sh "$0" 2>&1' /opt/spire-packages/scenarios/works.sh`},
		{c.Exec(vars(rpm, 2, []string{"BASE=http://x"}), payload.Script("works")...), `docker exec --env PLACE=` + rpm.Name() + ` --env FORMAT=rpm --env CLIENT=zypper --env STANDIN=yes --env ARCH=` + runtime.GOARCH + ` --env PKGARCH=` + architecture.Own().RPM + ` --env PATIENCE=3 --env PHASE=2 --env BASE=http://x` +
			` spire-packages-x /bin/sh -c 'exec /bin/sh "$0" 2>&1' /opt/spire-packages/scenarios/works.sh`},
	} {
		if got := test.command.String(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// The containers of a target's scenarios have no network, unless they shall.
func TestContainer(t *testing.T) {
	b := bench{target: matrix.Target{Distribution: matrix.Distribution{Name: "debian-12"}, Arch: runtime.GOARCH}, image: "image:1", cgroups: "/c", label: "l=1"}
	if line := (&Host{}).container(b, "works").Create().String(); !strings.Contains(line, " --network none ") || strings.Contains(line, "/web") {
		t.Errorf("%s", line)
	}
	if line := (&Host{Network: true, Web: "/w"}).container(b, "works").Create().String(); !strings.Contains(line, " --network host ") || !strings.Contains(line, " --volume /w:/opt/spire-packages/web ") {
		t.Errorf("%s", line)
	}
}

// TestSkippedAloud: no daemon is no failure, and no silence.
func TestSkippedAloud(t *testing.T) {
	var log strings.Builder
	h, place := emptyHost(t, &log)
	t.Setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if report.Count(Skipped) != 2 || report.Count(Passed) != 0 || report.Err() != nil {
		t.Errorf("report %v", report)
	}
	if got := log.String(); !strings.Contains(got, "skipped: "+container.ErrSkip.Error()) {
		t.Errorf("progress says %q", got)
	}
}

// emptyHost has two scenarios that do nothing.
func emptyHost(t *testing.T, log io.Writer) (*Host, matrix.Target) {
	t.Helper()
	h := &Host{Maker: rootfs.Maker{Driver: container.Driver{Log: log}, Cache: t.TempDir()}, Reports: t.TempDir(), Scenarios: t.TempDir()}
	write(t, filepath.Join(h.Scenarios, "a.sh"), "")
	write(t, filepath.Join(h.Scenarios, "b.sh"), "")
	return h, matrix.Target{Distribution: matrix.Distribution{Name: "debian-12", Format: pkgdef.Deb}, Arch: runtime.GOARCH}
}

// Where there is no time left nothing is begun, and each scenario is said to be left out.
func TestTooLate(t *testing.T) {
	h, place := emptyHost(t, io.Discard)
	h.Until, h.Late = time.Now(), "no time"
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"a", "b"})
	if err != nil || len(report) != 2 || report.Count(Skipped) != 2 || !strings.Contains(report[0].Reason, "no time") {
		t.Errorf("%+v, error %v", report, err)
	}
}

// Hosts that share a room wait for each other, and no longer than they are wanted.
func TestRoom(t *testing.T) {
	h, place := emptyHost(t, io.Discard)
	h.Room = semaphore.NewWeighted(1)
	if !h.Room.TryAcquire(1) {
		t.Fatal("there is no room to take")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	waits := task{bench: bench{target: place}, name: "a"}
	if result := h.seated(ctx, waits); result.Status != Failed || !strings.Contains(result.Reason, context.DeadlineExceeded.Error()) {
		t.Errorf("%+v", result)
	}
	h.Room.Release(1)
	h.Until = time.Now()
	for range 2 { // what was begun gives its place back
		if result := h.seated(t.Context(), waits); result.Status != Skipped {
			t.Errorf("%+v", result)
		}
	}
}

// Of what is always emulated a part is played, unless somebody asks for more, and the rest
// is said to be left out.
func TestEmulated(t *testing.T) {
	h, place := emptyHost(t, io.Discard)
	for arch, played := range map[string]string{"amd64": "a b", "s390x": "a"} {
		place.Arch, h.Emulated = arch, []string{"a"}
		got, left, err := h.parted(place, []string{"a", "b"})
		if err != nil || strings.Join(got, " ") != played || len(got)+len(left) != 2 {
			t.Errorf("%s plays %q, and leaves out %v", arch, got, left)
		}
		h.Emulated = nil
		if got, left, err := h.parted(place, []string{"a", "b"}); err != nil || len(got) != 2 || left != nil {
			t.Errorf("%s, asked for all, plays %q, and leaves out %v", arch, got, left)
		}
	}
	place.Arch, h.Emulated = "s390x", []string{"a"}
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"b"})
	if err != nil || len(report) != 1 || report[0].Status != Skipped || !strings.HasSuffix(report[0].Reason, "-scenario=b") {
		t.Errorf("%+v, error %v", report, err)
	}
}

func TestRunRefuses(t *testing.T) {
	h, place := emptyHost(t, nil)
	for name, test := range map[string]struct {
		places    []matrix.Target
		scenarios []string
		want      string
	}{
		"no place":    {nil, []string{"a"}, "no place"},
		"no scenario": {[]matrix.Target{place}, nil, "no scenario to run"},
		"scenario":    {[]matrix.Target{place}, []string{"c"}, `no scenario "c"`},
		"path":        {[]matrix.Target{place}, []string{"../a"}, `no scenario "../a"`},
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
	if _, err := h.Run(ctx, []matrix.Target{place}, []string{"a"}); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
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

func TestResultLine(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{Result{Distribution: "debian-12", Scenario: "works", Status: Passed, Seconds: 12.34}.String(), "debian-12       works      12.3s"},
		{Result{Distribution: "rpm-4.18", Scenario: "works", Status: Failed, Reason: "x, expected y, got z"}.String(),
			"rpm-4.18        works       0.0s  FAILED: x, expected y, got z"},
	} {
		if test.got != test.want {
			t.Errorf("got  %q\nwant %q", test.got, test.want)
		}
	}
}

func TestReason(t *testing.T) {
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
			said, err := transcript.OfScript(filepath.Join(t.TempDir(), "x"))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range test.writes {
				if _, err := said.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			said.Close()
			if got := reason(said, test.err); got != test.reason || said.Checks != test.checks {
				t.Errorf("%d checks, %q; want %d, %q", said.Checks, got, test.checks, test.reason)
			}
		})
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if _, err := List(dir); err == nil {
		t.Error("a folder without scenarios is no error")
	}
	for _, name := range []string{"b.sh", "a.sh", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := List(dir); err != nil || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v, %v", got, err)
	}
}
