// Package tally counts the results of checks honestly: what passed, what failed, and
// what could not run here and why.
package tally

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// Check is one named piece of the suite.
type Check struct {
	Name string
	// Run does it. An error is a failure, unless it is a Skip or a
	// tool.Missing; nil is a pass. A check of many parts counts them on the
	// tally itself, and returns ErrCounted.
	Run func(context.Context, *Tally) error
	// Takes is how long it takes, where that is minutes: what would end too late for who
	// has to be done by a time is not begun.
	Takes time.Duration
}

// Skip is the reason why something cannot run on this machine.
type Skip string

// Error is the reason.
func (s Skip) Error() string { return string(s) }

// TooLate is the reason of what takes longer than there is time.
func TooLate(until time.Time, takes time.Duration) Skip {
	return Skip(fmt.Sprintf("it takes about %s, and this run has to be done by %s: whoever has the time asks for it alone, as each night does", takes.Round(time.Minute), until.Format(time.TimeOnly)))
}

// ErrCounted says that a check has counted its parts by itself.
var ErrCounted = errors.New("counted")

// Tally counts and says results.
type Tally struct {
	Log io.Writer
	// Lanes is how many checks run at once; 0 means one.
	Lanes int
	// Until is when all has to be done; zero where nobody minds.
	Until time.Time

	mu                      sync.Mutex
	passed, failed, skipped int
	informed                bool     // by what stops nothing; see Informs
	notes                   []string // failures and skips, for the end
}

// Run runs the checks, which begin in their order.
func (t *Tally) Run(ctx context.Context, checks ...Check) {
	var group errgroup.Group
	group.SetLimit(max(1, t.Lanes))
	for _, check := range checks {
		group.Go(func() error {
			t.run(ctx, check)
			return nil
		})
	}
	_ = group.Wait() // what goes wrong is counted
}

func (t *Tally) run(ctx context.Context, check Check) {
	if ctx.Err() != nil {
		t.Count(check.Name, context.Cause(ctx), 0)
		return
	}
	start := time.Now()
	if end := start.Add(check.Takes); check.Takes > 0 && !t.Until.IsZero() && end.After(t.Until) {
		t.Count(check.Name, TooLate(t.Until, check.Takes), 0)
		return
	}
	t.mu.Lock()
	fmt.Fprintf(t.Log, "=== %s\n", check.Name)
	t.mu.Unlock()
	if err := check.Run(ctx, t); !errors.Is(err, ErrCounted) {
		t.Count(check.Name, err, time.Since(start))
	}
}

// Count counts one result and says it.
func (t *Tally) Count(name string, err error, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var skip Skip
	var missing tool.Missing
	word, detail := "ok", ""
	switch {
	case err == nil:
		t.passed++
	case errors.As(err, &skip), errors.As(err, &missing):
		t.skipped++
		word, detail = "SKIP", ": "+err.Error()
	default:
		t.failed++
		word, detail = "FAIL", ": "+err.Error()
	}
	line := fmt.Sprintf("%-4s %s (%.1f s)%s", word, name, took.Seconds(), detail)
	fmt.Fprintln(t.Log, line)
	if err != nil {
		t.notes = append(t.notes, line)
	}
}

// Informs says that what runs is for whoever wants to know: where nothing passes,
// nothing is stopped.
func (t *Tally) Informs() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.informed = true
}

// Pass counts a part that passed without a line of its own.
func (t *Tally) Pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.passed++
}

// Part does one part of a check, and counts it.
func (t *Tally) Part(name string, do func() error) {
	start := time.Now()
	err := do()
	t.Count(name, err, time.Since(start))
}

// Close repeats what did not pass and ends with the line of counts. The error
// says that something failed.
func (t *Tally) Close() error {
	for _, note := range t.notes {
		fmt.Fprintln(t.Log, note)
	}
	fmt.Fprintf(t.Log, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		return fmt.Errorf("%s failed", plural(t.failed, "test"))
	}
	if t.passed == 0 && !t.informed {
		return errors.New("no test ran")
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Indented is text to stand below a line.
func Indented(text string) string {
	return "\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

// List is Indented of several lines; nothing where there is none.
func List(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return Indented(strings.Join(lines, "\n"))
}
