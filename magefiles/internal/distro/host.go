package distro

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Host is the machine that runs the places, through Docker.
type Host struct {
	Cache     string // folder of root tarballs, kept between runs
	Reports   string // folder that gets PLACE/SCENARIO with what was kept
	Scenarios string // folder of the scenario scripts
	// Library is the folder that scripts have as lib; empty means that it is in
	// Scenarios.
	Library string
	// Folders are further folders that a container gets copies of, by their
	// names inside.
	Folders map[string]string
	// Web is a folder with a Unix socket named WebSocket that answers HTTP. In
	// the containers, which have no network, it answers at WebURL.
	Web string
	// Network lets scenarios reach what listens on this machine's loopback.
	Network bool
	// Vars are further variables of the scripts, as KEY=value.
	Vars []string
	// Lanes is how many scenarios run at once; 0 means as many as the machine
	// has room for.
	Lanes int
	// Log gets one line for each step that ended; nil means none.
	Log io.Writer

	mu        sync.Mutex       // guards Log
	cleared   sync.Once        // containers of killed runs are looked for once
	unreached map[string]error // why no image came from a registry; see pulled.pull
}

// stepTime bounds what only Docker does: create, copy, start, remove.
const stepTime = 5 * time.Minute

// scenarioTime bounds one run of a scenario's script.
const scenarioTime = 10 * time.Minute

// Run takes the packages through the scenarios at every place, side by side.
// Each scenario gets a fresh container, which is gone when Run returns. What
// goes wrong is in the report, which is in the order of the arguments; the
// error is for wrong arguments and for a context that ended.
func (h *Host) Run(ctx context.Context, places []Target, scenarios []string) (Report, error) {
	if err := h.check(places, scenarios); err != nil {
		return nil, fmt.Errorf("testing on distributions: %w", err)
	}
	results := make([]Report, len(places))
	tasks := make(chan task)
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(tasks)
		return h.hand(working, places, scenarios, results, tasks)
	})
	for range h.lanes() {
		group.Go(func() error {
			for t := range tasks {
				*t.result = h.scenario(working, t.bench, t.name)
				if working.Err() != nil {
					return context.Cause(working)
				}
				h.say(t.result.String())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return slices.Concat(results...), fmt.Errorf("testing on distributions: %w", err)
	}
	return slices.Concat(results...), nil
}

// task is one scenario at one place, and where its result goes.
type task struct {
	bench  bench
	name   string
	result *Result
}

// hand prepares one place after the other, because what prepares them fills
// the machine by itself, and hands out the scenarios of those that are ready.
func (h *Host) hand(ctx context.Context, places []Target, scenarios []string, results []Report, tasks chan<- task) error {
	for i, place := range places {
		made, err := h.prepare(ctx, place)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			results[i] = every(place, scenarios, err)
			h.say(progress(place.Name(), "-", 0, results[i][0].note()))
			continue
		}
		results[i] = make(Report, len(scenarios))
		for j, name := range scenarios {
			select {
			case tasks <- task{made, name, &results[i][j]}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// check refuses arguments that would make a run pass by testing nothing.
func (h *Host) check(places []Target, scenarios []string) error {
	if len(places) == 0 {
		return errors.New("there is no place to test at")
	}
	if len(scenarios) == 0 {
		return errors.New("there is no scenario to run")
	}
	for _, name := range scenarios {
		if !rowName.MatchString(name) || !exists(filepath.Join(h.Scenarios, name+".sh")) {
			return fmt.Errorf("there is no scenario %q in %s", name, h.Scenarios)
		}
	}
	return nil
}

// lanes is how many scenarios run at once. They wait more than they work: for
// the agent to ask the server again, for systemd, for the disk.
func (h *Host) lanes() int {
	if h.Lanes > 0 {
		return h.Lanes
	}
	return 2 * runtime.NumCPU()
}

// bench is what a place's scenarios have in common.
type bench struct {
	place   Target
	image   string
	cgroups string
	owner   string
}

// prepare finds out whether the place can be had here, and makes its image.
func (h *Host) prepare(ctx context.Context, place Target) (bench, error) {
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
	image, err := h.image(ctx, place)
	return bench{place: place, image: image, cgroups: cgroups, owner: owner}, err
}

// scenario runs one scenario in a container of its own and keeps what it said.
func (h *Host) scenario(ctx context.Context, b bench, name string) Result {
	start := time.Now()
	kept := filepath.Join(h.Reports, b.place.Name(), name)
	said, err := h.attempt(ctx, b, name, kept)
	result := Result{Distribution: b.place.Name(), Arch: b.place.Arch, Tier: b.place.Tier, Scenario: name, Status: Passed, Checks: said.checks, Logs: kept}
	if err == nil && said.checks == 0 {
		err = errors.New("it checked nothing")
	}
	switch {
	case err != nil && said.skip != "" && code(err) == skipCode:
		result.Status, result.Reason = Skipped, said.skip
	case err != nil:
		result.Status, result.Reason = Failed, said.reason(err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result
}

// attempts counts them, so that each container has a name of its own: several
// hosts of one process may play the same scenario at the same place.
var attempts atomic.Int64

// attempt boots a container, plays the scenario in it, keeps the evidence if
// that fails, and removes the container whatever happens.
func (h *Host) attempt(ctx context.Context, b bench, name, kept string) (said *transcript, err error) {
	said, err = openTranscript(kept)
	if err != nil {
		return said, err
	}
	defer func() { _ = said.Close() }() // a log that lacks its end is no failure
	c := container{
		name:     fmt.Sprintf("spire-packages-%s-%s-%d-%d", b.place.Name(), name, os.Getpid(), attempts.Add(1)),
		image:    b.image,
		owner:    b.owner,
		cgroups:  b.cgroups,
		network:  h.Network,
		web:      h.Web,
		emulated: b.place.emulated(),
	}
	defer func() { err = errors.Join(err, c.discard(ctx)) }()
	if err := h.boot(ctx, c, b.place); err != nil {
		return said, err
	}
	err = h.play(ctx, c, b.place, name, said)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, gather(ctx, c, b.place.evidence(), kept))
	}
	return said, err
}

// boot brings the container up with the scenarios in it.
func (h *Host) boot(ctx context.Context, c container, place Target) error {
	step, cancel := context.WithTimeoutCause(ctx, stepTime, fmt.Errorf("no answer from Docker for %s", stepTime))
	defer cancel()
	if err := c.create().Run(step); err != nil {
		return fmt.Errorf("creating the container: %w", err)
	}
	if err := deliver(step, c, nil, h.scripts()); err != nil {
		return fmt.Errorf("copying the scenarios in: %w", err)
	}
	if err := c.start().Run(step); err != nil {
		return fmt.Errorf("starting the container: %w", err)
	}
	return h.await(ctx, c, place)
}

// scripts are the folders of scripts, by their place inside.
func (h *Host) scripts() map[string]string {
	scripts := map[string]string{"scenarios": h.Scenarios}
	maps.Copy(scripts, h.Folders)
	if h.Library != "" {
		scripts["scenarios/lib"] = h.Library
	}
	return scripts
}

// await waits for systemd, and says which units of the root's own failed.
func (h *Host) await(ctx context.Context, c container, place Target) error {
	failed, err := c.booted(ctx, place.patience())
	if err != nil {
		return fmt.Errorf("booting the container: %w", err)
	}
	if len(failed) > 0 {
		h.say(progress(place.Name(), "boot", 0, "degraded: "+strings.Join(failed, " ")))
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
