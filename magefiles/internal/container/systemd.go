package container

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// settleTime is how long containerd may take to clear away a stopped container.
const settleTime = time.Second

// Reboot halts systemd and starts it again on the same files; /run and /tmp
// come back empty, as on a machine.
//
// It is not "docker restart": there, now and then, containerd is still clearing
// away the old container when the new one is up, finds it by the same cgroup,
// and kills it; with --rm, Docker then removes it under our hands.
func (c Container) Reboot(ctx context.Context) error {
	if err := c.Stop().Run(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settleTime):
	}
	return c.Start().Run(ctx)
}

// bootTime is how long systemd may take. It needs a second or two, on a busy
// machine ten times that.
const bootTime = 60 * time.Second

// Booted waits until systemd has started all there is to start, patience times as
// long as it may take. Failed units do not stop a boot: it gives their names.
func (c Container) Booted(ctx context.Context, patience int) (failed []string, err error) {
	limit := bootTime * time.Duration(patience)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("systemd was not up after %s", limit))
	defer cancel()
	last, pause := "", 100*time.Millisecond
	for {
		state, err := c.Exec(nil, "systemctl", "is-system-running").Output(ctx)
		switch state {
		case "running":
			return nil, nil
		case "degraded":
			return c.failedUnits(ctx)
		}
		if err != nil && strings.HasSuffix(LastLine(err), " is not running") {
			return nil, c.ended(ctx)
		}
		if ctx.Err() == nil { // else err only says that it was interrupted
			last = strings.TrimSpace(state + " " + LastLine(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for systemd (%s): %w", last, context.Cause(ctx))
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second) // each question takes its part of a busy machine
	}
}

// ended is what a container said last that did not stay up.
func (c Container) ended(ctx context.Context) error {
	said, err := docker("logs", "--tail", "5", c.Name).Combined(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("systemd ended at once: %s", strings.Join(strings.Fields(said), " "))
}

func (c Container) failedUnits(ctx context.Context) ([]string, error) {
	units, err := c.Exec(nil, "systemctl", "list-units", "--failed", "--plain", "--no-legend").Output(ctx)
	var names []string
	for line := range strings.Lines(units) {
		names = append(names, strings.Fields(line)[0])
	}
	return names, err
}
