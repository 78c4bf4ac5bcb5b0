package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/payload"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs/rootfstest"
)

// driver is a Host whose scenarios are the given scripts, with a file for them
// to find. It skips the test where containers cannot be booted.
func driver(t *testing.T, scripts map[string]string) (*Host, matrix.Target, *strings.Builder) {
	t.Helper()
	target, _ := rootfstest.Target(t)
	log := new(strings.Builder)
	h := &Host{Maker: rootfs.Maker{Driver: container.Driver{Log: log}, Cache: rootfstest.Cache(t)}, Reports: t.TempDir(), Scenarios: t.TempDir()}
	for name, text := range scripts {
		write(t, filepath.Join(h.Scenarios, name+".sh"), text)
	}
	h.Folders = map[string]string{"packages": t.TempDir()}
	write(t, filepath.Join(h.Folders["packages"], "a.deb"), "a package")
	return h, target, log
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
	scenarios, err := List(h.Scenarios)
	if err != nil {
		t.Fatal(err)
	}
	report, err := h.Run(t.Context(), []matrix.Target{place}, scenarios)
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
	rootfstest.NoContainers(t)
}

func contains(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s holds no %q (%v):\n%s", path, want, err, text)
	}
}

// TestWeb: a container without a network reaches the socket that it is given.
func TestWeb(t *testing.T) {
	h, place, _ := driver(t, map[string]string{"reads": `set -eu
test "$(curl -fsS ` + payload.WebURL + `/a)" = 'you asked for /a'
! curl -fsS http://192.0.2.1/ --max-time 2
echo ok: read`})
	h.Web = t.TempDir()
	if err := os.Chmod(h.Web, 0o755); err != nil { // the proxy is not root everywhere
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(h.Web, payload.WebSocket))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	})}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"reads"})
	if err != nil || report.Count(Passed) != 1 {
		t.Errorf("%v, %v", report, err)
	}
}

// TestPeer: a scenario that asks for a second machine has it, on a network that leads
// nowhere else, and gets its output and its exit codes.
func TestPeer(t *testing.T) {
	h, place, _ := driver(t, map[string]string{
		"talks": `set -eu
# It has a second machine, peer.
. "$(dirname "$0")/lib/peer.sh"
on_peer 'touch /here; cat; echo "at $PLACE"' >/said
test "$(cat /said)" = "at $PLACE"
test ! -e /here
code=0
on_peer 'exit 7' || code=$?
test "$code" = 7
on_peer 'getent hosts host' >/dev/null
! curl -fsS http://192.0.2.1/ --max-time 2
echo ok: both`,
		"fails": "# Alone.\n# It has a second machine, peer.\necho FAIL: nothing; exit 1",
	})
	h.Library = "../../../tests/scenarios/lib"
	report, err := h.Run(t.Context(), []matrix.Target{place}, []string{"talks", "fails"})
	if err != nil {
		t.Fatal(err)
	}
	if report[0].Status != Passed || report[1].Reason != "nothing" {
		t.Errorf("%+v", report)
	}
	contains(t, filepath.Join(h.Reports, "debian-12", "fails", "peer", "journal.txt"), "systemd")
	rootfstest.NoContainers(t)
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
	if _, err := h.Run(ctx, []matrix.Target{place}, []string{"waits"}); !errors.Is(err, why) {
		t.Errorf("Run says %v, want %v", err, why)
	}
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("it took %s to stop", took)
	}
	rootfstest.NoContainers(t)
}
