package distro

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// rebootCode is what a scenario's script exits with to be called again, with
// the next phase number, after a reboot. (Any number that no program in a
// scenario uses would do.)
const rebootCode = 194

// skipCode is what a scenario's script exits with, after a line "SKIP: reason",
// that cannot run at its place. (It is automake's.)
const skipCode = 77

// phases is how often a script is called at most.
const phases = 3

// play runs the scenario's script, over as many reboots as it asks for.
func (h *Host) play(ctx context.Context, c container, place Target, name string, said *transcript) error {
	limit := scenarioTime * time.Duration(place.patience())
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	for phase := 1; phase <= phases; phase++ {
		script := script(c, place, name, phase, h.Vars)
		script.Stdout, script.Stderr = said, said
		err := script.Run(ctx)
		if code(err) != rebootCode {
			return err
		}
		if err := c.reboot(ctx); err != nil {
			return fmt.Errorf("rebooting the container: %w", err)
		}
		if err := h.await(ctx, c, place); err != nil {
			return err
		}
	}
	return fmt.Errorf("it asked for more than %d reboots", phases-1)
}

// code is the exit code of a command that failed; 0 if that is not what the
// error is about.
func code(err error) int {
	var exit *run.Error
	if errors.As(err, &exit) {
		return exit.Code
	}
	return 0
}

// script is the command of one phase. What a script knows of its place comes as
// variables.
func script(c container, place Target, name string, phase int, more []string) run.Command {
	standIn := ""
	if place.Image.StandIn {
		standIn = "yes"
	}
	vars := append([]string{
		"PLACE=" + place.Name(), "FORMAT=" + place.Format, "CLIENT=" + place.Client(), "STANDIN=" + standIn,
		"ARCH=" + place.Arch, "PKGARCH=" + place.format().Architecture(place.Arch), fmt.Sprintf("PATIENCE=%d", place.patience()), fmt.Sprintf("PHASE=%d", phase),
	}, more...)
	// Both streams as one, joined inside: Docker carries them apart, and on a
	// busy host the error can come out before what led to it.
	return c.exec(vars, "/bin/sh", "-c", `exec /bin/sh "$0" 2>&1`, "/"+inside+"/scenarios/"+name+".sh")
}

// evidence is what is kept of a container in which a scenario failed: file
// name and the command whose output it holds.
func (p Target) evidence() map[string][]string {
	return map[string][]string{
		"packages.txt": append([]string{"tail", "--lines=+1"}, p.format().Logs...),
		"journal.txt":  {"journalctl", "--no-pager", "--output=short-precise"},
		"units.txt":    {"systemctl", "status", "--no-pager", "--full", "--lines=0", "spi[rf]*"},
	}
}

// gather keeps the evidence. What cannot be had (a log that was never
// written, say) is noted in its own file: the failure itself is elsewhere.
func gather(ctx context.Context, c container, evidence map[string][]string, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	var errs []error
	for name, args := range evidence {
		text, err := c.exec(nil, args...).Combined(ctx)
		if err != nil {
			text += "\n(" + lastLine(err) + ")\n"
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// transcript keeps what a scenario prints, and reads its verdict from it.
type transcript struct {
	checks int    // lines that start with "ok: "
	fail   string // the last line that starts with "FAIL: "
	skip   string // the last line that starts with "SKIP: "
	last   string // the last line that is not empty

	mu      sync.Mutex // standard output and standard error write at once
	file    *os.File
	partial string // a line whose end has not come yet
}

// openTranscript starts a new folder for the scenario: what an earlier run
// kept there is removed.
func openTranscript(dir string) (*transcript, error) {
	t := new(transcript)
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		t.file, err = os.Create(filepath.Join(dir, "output.txt"))
	}
	if err != nil {
		return t, fmt.Errorf("keeping the scenario's output: %w", err)
	}
	return t, nil
}

// Write keeps the text and looks at the lines that it completes.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(t.partial+string(p), "\n")
	for _, line := range lines[:len(lines)-1] {
		t.read(line)
	}
	t.partial = lines[len(lines)-1]
	return t.file.Write(p)
}

func (t *transcript) read(line string) {
	if strings.HasPrefix(line, "ok: ") {
		t.checks++
	}
	if words, found := strings.CutPrefix(line, "FAIL: "); found {
		t.fail = words
	}
	if words, found := strings.CutPrefix(line, "SKIP: "); found {
		t.skip = words
	}
	if strings.TrimSpace(line) != "" {
		t.last = line
	}
}

// Close ends the transcript.
func (t *transcript) Close() error {
	t.read(t.partial)
	return t.file.Close()
}

// reason is why the scenario failed, in one line: its own word if it had one,
// else what it said last and how it ended.
func (t *transcript) reason(err error) string {
	var exit *run.Error
	switch {
	case !errors.As(err, &exit) || exit.Code < 0 || !strings.Contains(exit.Line, " exec "):
		return strings.Join(strings.Fields(err.Error()), " ")
	case t.fail != "":
		return t.fail
	case t.last != "":
		return fmt.Sprintf("exit code %d after: %s", exit.Code, t.last)
	}
	return fmt.Sprintf("exit code %d without a word", exit.Code)
}
