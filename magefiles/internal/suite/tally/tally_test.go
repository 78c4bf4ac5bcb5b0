package tally

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

func TestTally(t *testing.T) {
	missing := tool.Missing{Programs: []string{"rpm"}}
	for name, c := range map[string]struct {
		results []error
		last    string
		err     string // empty for none
	}{
		"nothing ran":          {nil, "0 passed, 0 failed, 0 skipped", "no test ran"},
		"pass":                 {[]error{nil, nil}, "2 passed, 0 failed, 0 skipped", ""},
		"fail":                 {[]error{errors.New("bad")}, "0 passed, 1 failed, 0 skipped", "1 test failed"},
		"fail and pass":        {[]error{nil, errors.New("bad"), errors.New("worse")}, "1 passed, 2 failed, 0 skipped", "2 tests failed"},
		"skip":                 {[]error{nil, Skip("no room")}, "1 passed, 0 failed, 1 skipped", ""},
		"wrapped skip":         {[]error{nil, fmt.Errorf("there: %w", Skip("no room"))}, "1 passed, 0 failed, 1 skipped", ""},
		"missing tool":         {[]error{nil, missing}, "1 passed, 0 failed, 1 skipped", ""},
		"skips only":           {[]error{Skip("no room"), missing}, "0 passed, 0 failed, 2 skipped", "no test ran"},
		"a skip hides no fail": {[]error{nil, Skip("no room"), errors.New("bad")}, "1 passed, 1 failed, 1 skipped", "1 test failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			tally := &Tally{Log: &log}
			for i, err := range c.results {
				tally.Count(fmt.Sprint("part ", i), err, 0)
			}
			err := tally.Close()
			if got := fmt.Sprint(err); c.err == "" && err != nil || c.err != "" && got != c.err {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if !strings.HasSuffix(log.String(), "\n"+c.last+"\n") && log.String() != c.last+"\n" {
				t.Errorf("it does not end with %q:\n%s", c.last, &log)
			}
		})
	}
}

func TestTallySays(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log}
	check := func(name string, err error) Check {
		return Check{Name: name, Run: func(_ context.Context, t *Tally) error {
			t.Count(name, err, 1250*time.Millisecond)
			return ErrCounted
		}}
	}
	tally.Run(t.Context(), check("good", nil), check("bad", errors.New("it is broken")), check("absent", Skip("no room")),
		check("toolless", tool.Missing{Programs: []string{"rpmlint"}}))
	if err := tally.Close(); err == nil {
		t.Error("no error")
	}
	golden.Check(t, "tally.golden", log.String())
}

// A check counts once: by itself, or by what it returns.
func TestRunCounts(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context, *Tally) error
		last string
	}{
		"nil":           {func(context.Context, *Tally) error { return nil }, "1 passed, 0 failed, 0 skipped"},
		"error":         {func(context.Context, *Tally) error { return errors.New("bad") }, "0 passed, 1 failed, 0 skipped"},
		"counted":       {func(context.Context, *Tally) error { return ErrCounted }, "0 passed, 0 failed, 0 skipped"},
		"parts":         {func(_ context.Context, t *Tally) error { t.Pass(); t.Pass(); return ErrCounted }, "2 passed, 0 failed, 0 skipped"},
		"parts and bad": {func(_ context.Context, t *Tally) error { t.Pass(); return errors.New("bad") }, "1 passed, 1 failed, 0 skipped"},
	} {
		var log strings.Builder
		tally := &Tally{Log: &log}
		tally.Run(t.Context(), Check{Name: name, Run: c.run})
		_ = tally.Close()
		if !strings.HasSuffix(log.String(), c.last+"\n") {
			t.Errorf("%s: it does not end with %q:\n%s", name, c.last, &log)
		}
	}
}

// What would end too late is not begun, and said to be left out.
func TestUntil(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log, Until: time.Now().Add(10 * time.Minute)}
	ran := ""
	check := func(name string, takes time.Duration) Check {
		return Check{Name: name, Takes: takes, Run: func(context.Context, *Tally) error { ran += name + " "; return nil }}
	}
	tally.Run(t.Context(), check("short", 0), check("long", time.Hour), check("fitting", 9*time.Minute))
	if err := tally.Close(); err != nil || ran != "short fitting " {
		t.Errorf("%sran, error %v", ran, err)
	}
	if want := "SKIP long (0.0 s): it takes about 1h0m0s, and this run has to be done by " + tally.Until.Format(time.TimeOnly); !strings.Contains(log.String(), want) {
		t.Errorf("it does not say %q:\n%s", want, &log)
	}
}

// A suite that was stopped has failed, and starts nothing more.
func TestCancelled(t *testing.T) {
	var log strings.Builder
	tally := &Tally{Log: &log}
	ctx, cancel := context.WithCancel(t.Context())
	started := 0
	stop := Check{Name: "stop", Run: func(context.Context, *Tally) error { started++; cancel(); return nil }}
	tally.Run(ctx, stop, stop, stop)
	if err := tally.Close(); err == nil || started != 1 {
		t.Errorf("%d checks started, error %v", started, err)
	}
}
