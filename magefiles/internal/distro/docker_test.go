package distro

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// cacheDir is where the tests of the packages keep their roots too.
func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "spire-packages", "roots")
}

// row is a row of the real file.
func row(t *testing.T, name string) Distribution {
	t.Helper()
	rows, err := Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return rows[slices.IndexFunc(rows, func(r Distribution) bool { return r.Name == name })]
}

// driver is a Host whose scenarios are the given scripts, with a file for them
// to find. It skips the test where containers cannot be booted.
func driver(t *testing.T, scripts map[string]string) (*Host, Target, *strings.Builder) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a container")
	}
	// A root small enough for a test, and the real row's, so that it is made once.
	row := row(t, "debian-12")
	if err := reachable(t.Context()); err != nil {
		t.Skip(err)
	}
	if imageExists(root{row.Image, runtime.GOARCH}.tag()).Run(t.Context()) != nil && os.Geteuid() != 0 {
		t.Skip("making a root needs to be root")
	}
	log := new(strings.Builder)
	h := &Host{Cache: cacheDir(t), Reports: t.TempDir(), Scenarios: t.TempDir(), Log: log}
	for name, text := range scripts {
		write(t, filepath.Join(h.Scenarios, name+".sh"), text)
	}
	h.Folders = map[string]string{"packages": t.TempDir()}
	write(t, filepath.Join(h.Folders["packages"], "a.deb"), "a package")
	return h, Target{row, runtime.GOARCH}, log
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRun boots a real container for each way that a scenario can end.
func TestRun(t *testing.T) {
	h, place, log := driver(t, map[string]string{
		"a-passes": `set -eu
test "$FORMAT$STANDIN$PHASE" = deb1
test "$(cat /opt/spire-packages/packages/a.deb)" = 'a package'
test "$(stat -c '%a %u' /opt/spire-packages/packages/a.deb)" = '644 0'
echo "ok: $(systemctl is-system-running)"`,
		"b-reboots": `set -eu
echo "ok: phase $PHASE"
test "$PHASE" = 2 || { touch /run/volatile /var/lasting; exit 194; }
test ! -e /run/volatile
test -e /var/lasting
systemctl is-active dbus.service`,
		"c-fails":        "echo ok: one; echo 'FAIL: colour, expected red, got blue'; logger -t scenario the cause; exit 1",
		"d-misspelt":     "set -eu\necho ok: one\nno_such_function",
		"e-checks-none":  "true",
		"f-reboots-ever": "exit 194",
		"g-cannot":       "echo 'SKIP: no colours here'; exit 77",
		"h-breaks":       "echo 'SKIP: no colours here'; exit 1",
	})
	scenarios, err := Scenarios(h.Scenarios)
	if err != nil {
		t.Fatal(err)
	}
	report, err := h.Run(t.Context(), []Target{place}, scenarios)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		status Status
		checks int
		reason string
	}{
		{Passed, 1, ""},
		{Passed, 2, ""},
		{Failed, 1, "colour, expected red, got blue"},
		{Failed, 1, "no_such_function: not found"},
		{Failed, 0, "it checked nothing"},
		{Failed, 0, "it asked for more than 2 reboots"},
		{Skipped, 0, "no colours here"},
		{Failed, 0, "exit code 1 after: SKIP: no colours here"},
	}
	for i, got := range report {
		if got.Status != want[i].status || got.Checks != want[i].checks || !strings.Contains(got.Reason, want[i].reason) {
			t.Errorf("%s: %s, %d checks, %q; want %v", got.Scenario, got.Status, got.Checks, got.Reason, want[i])
		}
	}
	if !strings.Contains(log.String(), "c-fails") || !strings.Contains(log.String(), "FAILED: colour") {
		t.Errorf("progress says:\n%s", log)
	}
	contains(t, filepath.Join(h.Reports, "debian-12", "c-fails", "output.txt"), "FAIL: colour")
	contains(t, filepath.Join(h.Reports, "debian-12", "c-fails", "journal.txt"), "the cause")
	contains(t, filepath.Join(h.Reports, "debian-12", "c-fails", "packages.txt"), "/var/log")
	noContainers(t)
}

func contains(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s holds no %q (%v):\n%s", path, want, err, text)
	}
}

// noContainers checks that this process left none.
func noContainers(t *testing.T) {
	t.Helper()
	owner, err := ownerOf(proc, "self")
	if err != nil {
		t.Fatal(err)
	}
	_, start, _ := strings.Cut(owner, ".")
	list, err := listOwned().Output(t.Context())
	if err != nil || strings.Contains(list, "."+start) {
		t.Errorf("containers left behind: %s (%v)", list, err)
	}
}

// TestWeb: a container without a network reaches the socket that it is given.
func TestWeb(t *testing.T) {
	h, place, _ := driver(t, map[string]string{"reads": `set -eu
test "$(curl -fsS ` + WebURL + `/a)" = 'you asked for /a'
! curl -fsS http://192.0.2.1/ --max-time 2
echo ok: read`})
	h.Web = t.TempDir()
	if err := os.Chmod(h.Web, 0o755); err != nil { // the proxy is not root everywhere
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(h.Web, WebSocket))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	})}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	report, err := h.Run(t.Context(), []Target{place}, []string{"reads"})
	if err != nil || report.Count(Passed) != 1 {
		t.Errorf("%v, %v", report, err)
	}
}

// TestCancelled ends a run in the middle of a scenario.
func TestCancelled(t *testing.T) {
	h, place, _ := driver(t, map[string]string{"waits": "echo ok: here; sleep 600"})
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		defer cancel(why)
		output := filepath.Join(h.Reports, "debian-12", "waits", "output.txt")
		for range 600 {
			if text, _ := os.ReadFile(output); len(text) > 0 {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	start := time.Now()
	if _, err := h.Run(ctx, []Target{place}, []string{"waits"}); !errors.Is(err, why) {
		t.Errorf("Run says %v, want %v", err, why)
	}
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("it took %s to stop", took)
	}
	noContainers(t)
}

// TestEndsAtOnce: what cannot come up is not waited for, and its word is passed on.
func TestEndsAtOnce(t *testing.T) {
	h, place, _ := driver(t, nil)
	image, err := h.image(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	broken := temporary(t, image)
	tag := "spire-packages-root:broken"
	t.Cleanup(func() { _ = run.New("docker", "rmi", "--force", tag).Run(context.Background()) })
	c := container{name: broken.name + "-up", image: tag, owner: broken.owner, cgroups: t.TempDir()}
	t.Cleanup(func() { _ = c.discard(context.Background()) })
	spoil := "printf '#!/bin/sh\necho no such luck\nexit 1\n' >/lib/systemd/systemd"
	for _, command := range []run.Command{broken.prepare(spoil, nil), broken.commit(tag), c.create(), c.start()} {
		if err := command.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.booted(t.Context(), 1); err == nil || err.Error() != "systemd ended at once: no such luck" {
		t.Errorf("got %v", err)
	}
}

// TestClear plays the run after one that was killed.
func TestClear(t *testing.T) {
	h, place, log := driver(t, nil)
	image, err := h.image(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	dead := container{
		name:    "spire-packages-test-dead",
		image:   image,
		owner:   "1.1", // process 1 did not start one tick after the boot
		cgroups: t.TempDir(),
	}
	t.Cleanup(func() { _ = dead.remove(context.Background()) })
	if err := dead.create().Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := dead.remove(t.Context()); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if !strings.Contains(log.String(), dead.name) {
		t.Errorf("clear says %q, nothing of %s", log, dead.name)
	}
	list, err := run.New("docker", "ps", "--all", "--filter", "name="+dead.name, "--quiet").Output(t.Context())
	if err != nil || list != "" {
		t.Errorf("%s is still there: %q %v", dead.name, list, err)
	}
}

// TestDerive: an image is made once of a script and its arguments, and again of
// another one.
func TestDerive(t *testing.T) {
	h, place, _ := driver(t, nil)
	from, err := h.image(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]bool{}
	for _, argument := range []string{"one", "one", "two"} {
		tag, err := h.Derive(t.Context(), "test-derived", from, `echo "$1" >/argument`, []string{argument}, "USER nobody")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = run.New("docker", "rmi", tag).Run(context.Background()) })
		tags[tag] = true
		out, err := run.New("docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", tag, "-c", "cat /argument; id -un").Output(t.Context())
		if err != nil || out != argument+"\nnobody" {
			t.Errorf("it has %q, %v", out, err)
		}
	}
	if len(tags) != 2 {
		t.Errorf("the images are %v", tags)
	}
	if _, err := h.Derive(t.Context(), "test-derived", from, "exit 7", nil); err == nil {
		t.Error("a script that fails makes an image")
	}
	noContainers(t)
}
