package distro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Host is the machine that runs the rows, through Docker. Its methods may be
// called for several rows at once.
type Host struct {
	Cache     string // folder of root tarballs, kept between runs
	Reports   string // folder that gets ROW/SCENARIO with what was kept
	Scenarios string // folder of the scenario scripts
	// Library is the folder that scripts have as lib; empty means that it is in
	// Scenarios.
	Library string
	// Network lets scenarios reach what listens on this machine's loopback.
	Network bool
	// Vars are further variables of the scripts, as KEY=value.
	Vars []string
	Arch string // Go's name; empty means this machine's own
	// Log gets one line for each step that ended; nil means none.
	Log io.Writer

	mu      sync.Mutex // guards Log
	cleared sync.Once  // containers of killed runs are looked for once
}

// stepTime bounds what only Docker does: create, copy, start, remove.
const stepTime = 2 * time.Minute

// scenarioTime bounds one run of a scenario's script.
const scenarioTime = 5 * time.Minute

// Run takes the packages, which must be of the row's format, through the
// scenarios on the row. Each scenario gets a fresh container, which is gone
// when Run returns. What goes wrong is in the report; the error is for wrong
// arguments and for a context that ended.
func (h *Host) Run(ctx context.Context, row Row, packages, scenarios []string) (Report, error) {
	if err := h.check(row, packages, scenarios); err != nil {
		return nil, fmt.Errorf("testing on %s: %w", row.Name, err)
	}
	made, err := h.prepare(ctx, row)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("testing on %s: %w", row.Name, context.Cause(ctx))
	}
	if err != nil {
		report := every(row, scenarios, err)
		h.say(progress(row.Name, "-", 0, report[0].note()))
		return report, nil
	}
	var report Report
	for _, name := range scenarios {
		result := h.scenario(ctx, made, packages, name)
		if ctx.Err() != nil {
			return report, fmt.Errorf("testing on %s: %w", row.Name, context.Cause(ctx))
		}
		h.say(result.String())
		report = append(report, result)
	}
	return report, nil
}

// check refuses arguments that would make a run pass by testing nothing.
func (h *Host) check(row Row, packages, scenarios []string) error {
	if len(packages) == 0 {
		return errors.New("there is no package to install")
	}
	if len(scenarios) == 0 {
		return errors.New("there is no scenario to run")
	}
	for _, path := range packages {
		if filepath.Ext(path) != "."+string(row.Format) {
			return fmt.Errorf("%s is not a %s package", path, row.Format)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", path)
		}
	}
	for _, name := range scenarios {
		if !rowName.MatchString(name) || !exists(filepath.Join(h.Scenarios, name+".sh")) {
			return fmt.Errorf("there is no scenario %q in %s", name, h.Scenarios)
		}
	}
	return nil
}

// bench is what a row's scenarios have in common.
type bench struct {
	row     Row
	image   string
	cgroups string
	owner   string
}

// prepare finds out whether the row can run here, and makes its image.
func (h *Host) prepare(ctx context.Context, row Row) (bench, error) {
	arch := h.Arch
	if arch == "" {
		arch = runtime.GOARCH
	}
	if !slices.Contains(row.Architectures, arch) {
		return bench{}, fmt.Errorf("%w: %s is tested on %s, not on %s", ErrSkip, row.Name, strings.Join(row.Architectures, ", "), arch)
	}
	if err := reachable(ctx); err != nil {
		return bench{}, err
	}
	cgroups, err := cgroupTree("/sys/fs/cgroup")
	if err != nil {
		return bench{}, err
	}
	owner, err := ownerOf(proc, fmt.Sprint(os.Getpid()))
	if err != nil {
		return bench{}, err
	}
	h.cleared.Do(func() { err = h.clear(ctx) })
	if err != nil {
		return bench{}, err
	}
	base := root{image: row.Image, arch: arch}
	return bench{row: row, image: base.tag(), cgroups: cgroups, owner: owner}, base.load(ctx, h, row)
}

// scenario runs one scenario in a container of its own and keeps what it said.
func (h *Host) scenario(ctx context.Context, b bench, packages []string, name string) Result {
	start := time.Now()
	kept := filepath.Join(h.Reports, b.row.Name, name)
	said, err := h.attempt(ctx, b, packages, name, kept)
	result := Result{Row: b.row.Name, Scenario: name, Status: Passed, Checks: said.checks, Logs: kept}
	if err == nil && said.checks == 0 {
		err = errors.New("it checked nothing")
	}
	if err != nil {
		result.Status, result.Reason = Failed, said.reason(err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result
}

// attempt boots a container, plays the scenario in it, keeps the evidence if
// that fails, and removes the container whatever happens.
func (h *Host) attempt(ctx context.Context, b bench, packages []string, name, kept string) (said *transcript, err error) {
	said, err = openTranscript(kept)
	if err != nil {
		return said, err
	}
	defer func() { _ = said.Close() }() // a log that lacks its end is no failure
	c := container{
		name:    fmt.Sprintf("spire-packages-%s-%s-%d", b.row.Name, name, os.Getpid()),
		image:   b.image,
		owner:   b.owner,
		cgroups: b.cgroups,
		network: h.Network,
	}
	// The context may be the reason to stop: the removal must not depend on it.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
		defer cancel()
		if gone := c.remove(ctx); gone != nil {
			err = errors.Join(err, fmt.Errorf("removing the container: %w", gone))
		}
	}()
	if err := h.boot(ctx, c, b.row, packages); err != nil {
		return said, err
	}
	err = h.play(ctx, c, b.row, name, said)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, gather(ctx, c, b.row.Format, kept))
	}
	return said, err
}

// boot brings the container up with packages and scenarios in it.
func (h *Host) boot(ctx context.Context, c container, row Row, packages []string) error {
	step, cancel := context.WithTimeoutCause(ctx, stepTime, fmt.Errorf("no answer from Docker for %s", stepTime))
	defer cancel()
	if err := c.create().Run(step); err != nil {
		return fmt.Errorf("creating the container: %w", err)
	}
	if err := deliver(step, c, packages, h.scripts()); err != nil {
		return fmt.Errorf("copying the packages in: %w", err)
	}
	if err := c.start().Run(step); err != nil {
		return fmt.Errorf("starting the container: %w", err)
	}
	return h.await(ctx, c, row)
}

// scripts are the folders of scripts, by their place inside.
func (h *Host) scripts() map[string]string {
	scripts := map[string]string{"scenarios": h.Scenarios}
	if h.Library != "" {
		scripts["scenarios/lib"] = h.Library
	}
	return scripts
}

// await waits for systemd, and says which units of the root's own failed.
func (h *Host) await(ctx context.Context, c container, row Row) error {
	failed, err := c.booted(ctx)
	if err != nil {
		return fmt.Errorf("booting the container: %w", err)
	}
	if len(failed) > 0 {
		h.say(progress(row.Name, "boot", 0, "degraded: "+strings.Join(failed, " ")))
	}
	return nil
}

func (h *Host) say(line string) {
	if h.Log == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintln(h.Log, line)
}
