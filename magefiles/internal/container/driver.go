package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// ErrSkip is why something did not run: this host cannot run it. Nothing is known
// about the packages then.
var ErrSkip = errors.New("cannot run on this host")

// Driver is Docker as one run uses it. Its zero value is ready.
type Driver struct {
	// Log gets one line for each step that ended; nil means none.
	Log io.Writer
	// Pauses are those between pulls, where a registry that answers has no time; nil
	// means 15 s, 1 min and 3 min.
	Pauses []time.Duration

	mu      sync.Mutex // guards Log
	cleared sync.Once  // containers of killed runs are looked for once
}

// Say writes a line to the log.
func (d *Driver) Say(line string) {
	if d.Log == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.Log, line)
}

// Progress is one line of what happens: at which target, step, time, and a note if any.
func Progress(target, step string, took time.Duration, note string) string {
	line := fmt.Sprintf("%-15s %-9s %5.1fs", target, step, took.Seconds())
	if note != "" {
		line += "  " + note
	}
	return line
}

// Answers asks Docker's daemon for a sign of life.
func Answers(ctx context.Context) error {
	return docker("version", "--format", "{{.Server.Version}}").Run(ctx)
}

// Installed says whether there is a docker command.
func Installed() bool { return run.Have("docker") }

// Reachable is an ErrSkip where there is no Docker, or its daemon does not answer.
func Reachable(ctx context.Context) error {
	if !Installed() {
		return fmt.Errorf("%w: Docker's client is missing (`setup:test` installs it)", ErrSkip)
	}
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := Answers(asking)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%w: Docker's daemon does not answer (`setup:test` starts it): %s", ErrSkip, LastLine(err))
	}
	return nil
}

// Claim removes the containers of killed runs, and gives the label that ours
// must have to be removed likewise. Where Docker cannot be had, it is an ErrSkip.
func (d *Driver) Claim(ctx context.Context) (label string, err error) {
	if err := Reachable(ctx); err != nil {
		return "", err
	}
	d.cleared.Do(func() { err = d.clear(ctx) })
	if err != nil {
		return "", err
	}
	return Label()
}

// Label marks the containers of this process.
func Label() (string, error) {
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	return ownerLabel + "=" + owner, err
}

// LastLine is the end of what a failed command said, where the cause is.
func LastLine(err error) string {
	text := err.Error()
	var failed *run.Error
	if errors.As(err, &failed) && failed.Stderr != "" {
		text = failed.Stderr
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// Says is whether the end of what a failed command said has one of the words, in
// lower case.
func Says(err error, words []string) bool {
	said := strings.ToLower(LastLine(err))
	return slices.ContainsFunc(words, func(words string) bool { return strings.Contains(said, words) })
}
