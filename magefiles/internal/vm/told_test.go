package vm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// hear gives what is read of a machine that said the lines, in bits, as a
// serial port gives them.
func hear(t *testing.T, dir string, lines ...string) (*told, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	said, err := listen(dir, &log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(said.Close)
	text := strings.Join(lines, "\r\n") + "\n"
	for len(text) > 0 {
		n := min(7, len(text))
		if _, err := said.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	return said, &log
}

func TestResults(t *testing.T) {
	passed := []string{">>> service 1", "ok: installed", ">>> service 2", "ok: back", "<<< service 0"}
	for _, c := range []struct {
		name  string
		lines []string
		lived error
		want  []Result
	}{
		{"all is well", append(passed, ">>> tpm 1", "ok: attested", "<<< tpm 0"), nil,
			[]Result{{"service", Passed, "", 2, 0}, {"tpm", Passed, "", 1, 0}}},
		{"a check fails, and what follows is not reached", []string{">>> service 1", "ok: installed", "FAIL: the unit, expected active, got failed", "<<< service 1"}, nil,
			[]Result{{"service", Failed, "the unit, expected active, got failed", 1, 0}, {"tpm", Failed, "it was not reached, because of what failed before it", 0, 0}}},
		{"a program fails without a word", []string{">>> service 1", "ok: installed", "cp: cannot stat 'x'", "<<< service 2"}, nil,
			[]Result{{"service", Failed, "exit code 2 after: cp: cannot stat 'x'", 1, 0}, {"tpm", Failed, "it was not reached, because of what failed before it", 0, 0}}},
		{"nothing was checked", []string{">>> service 1", "<<< service 0"}, nil,
			[]Result{{"service", Failed, "it checked nothing", 0, 0}, {"tpm", Failed, "it was not reached, because of what failed before it", 0, 0}}},
		{"one cannot run", append(passed, ">>> tpm 1", "SKIP: there is no TPM", "<<< tpm 77"), nil,
			[]Result{{"service", Passed, "", 2, 0}, {"tpm", Skipped, "there is no TPM", 0, 0}}},
		{"a skip without a reason is none", append(passed, ">>> tpm 1", "<<< tpm 77"), nil,
			[]Result{{"service", Passed, "", 2, 0}, {"tpm", Failed, "exit code 77 after: >>> tpm 1", 0, 0}}},
		{"an end that is no number", []string{">>> service 1", "ok: installed", "<<< service"}, nil,
			[]Result{{"service", Failed, "exit code  after: ok: installed", 1, 0}, {"tpm", Failed, "it was not reached, because of what failed before it", 0, 0}}},
		{"it hangs at the second boot", []string{">>> service 1", "ok: installed", "== rebooting"}, errors.New("it was not done after 15m0s"),
			[]Result{{"service", Failed, "it was not done after 15m0s, after: == rebooting", 1, 0}, {"tpm", Failed, "it was not done after 15m0s, after: == rebooting", 0, 0}}},
		{"it never boots", nil, &run.Error{Line: "docker run", Code: 1, Stderr: "warning: x\nqemu: no kernel\n"},
			[]Result{{"service", Failed, "its container ended with code 1: qemu: no kernel, after: ", 0, 0}, {"tpm", Failed, "its container ended with code 1: qemu: no kernel, after: ", 0, 0}}},
		{"it does not power off", append(passed, ">>> tpm 1", "ok: attested", "<<< tpm 0", "== powering off"), errors.New("it was not done after 15m0s"),
			[]Result{{"service", Passed, "", 2, 0}, {"tpm", Failed, "powering off: it was not done after 15m0s, after: == powering off", 1, 0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, _ := hear(t, t.TempDir(), c.lines...)
			got := said.results([]string{"service", "tpm"}, c.lived)
			for i := range got {
				got[i].Took = 0
				if got[i] != c.want[i] {
					t.Errorf("got %+v, expected %+v", got[i], c.want[i])
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("got %d results, expected %d", len(got), len(c.want))
			}
		})
	}
}

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	_, log := hear(t, dir, "noise", "== installing", ">>> service 1", "ok: installed", "<<< service 0")
	for _, words := range []string{"s  installing\n", "s  service passed, 1 checks"} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log is %q, expected %q in it", log, words)
		}
	}
	kept, err := os.ReadFile(filepath.Join(dir, "output.txt"))
	if err != nil || !strings.Contains(string(kept), "noise") {
		t.Errorf("kept %q (%v), expected all that was said", kept, err)
	}
}
