// Package scenario plays the scenarios of tests/scenarios on targets, and reports what
// happened.
//
// For each scenario a target gets a fresh container, booted with systemd as PID 1 and
// cut off from every network, so that scenarios depend neither on each other nor on a
// mirror.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/rootfs"
)

// Host is the machine that runs the targets, through Docker.
type Host struct {
	rootfs.Maker
	Reports   string // folder that gets TARGET/SCENARIO with what was kept
	Scenarios string // folder of the scenario scripts
	// Library is the folder that scripts have as lib; empty means that it is in
	// Scenarios.
	Library string
	// Folders are further folders that a container gets copies of, by their
	// names inside.
	Folders map[string]string
	// Web is a folder with a Unix socket named payload.WebSocket that answers HTTP. In
	// the containers, which have no network, it answers at payload.WebURL.
	Web string
	// Network lets scenarios reach what listens on this machine's loopback.
	Network bool
	// Vars are further variables of the scripts, as KEY=value.
	Vars []string
	// Special are the scenarios that some row of the matrix alone plays.
	Special []string
	// Older are the names of targets that leave to a newer one what asks for that; see Terms.
	Older []string
	// Emulated are the only scenarios that are played at targets whose architecture no
	// hosted machine is of; the others are skipped there. Empty means all.
	Emulated []string
	// Until is when no scenario is begun any more; zero where nobody minds. Late is why.
	Until time.Time
	Late  string
	// Lanes is how many scenarios run at once; 0 means as many as the machine
	// has room for.
	Lanes int
	// Room is what the hosts of one process share: so many scenarios run at once of
	// all of them. Nil means that there are no others.
	Room *semaphore.Weighted
}

// List lists the scenarios in a folder, by name.
func List(dir string) ([]string, error) {
	scripts, err := filepath.Glob(filepath.Join(dir, "*.sh"))
	if err != nil {
		return nil, fmt.Errorf("listing the scenarios: %w", err)
	}
	if len(scripts) == 0 {
		return nil, fmt.Errorf("there is no scenario in %s", dir)
	}
	names := make([]string, len(scripts))
	for i, script := range scripts {
		names[i] = strings.TrimSuffix(filepath.Base(script), ".sh")
	}
	return names, nil
}

// Run takes the packages through the scenarios at every target, side by side.
// Each scenario gets a fresh container, which is gone when Run returns. What
// goes wrong is in the report, which is in the order of the arguments; the
// error is for wrong arguments and for a context that ended.
func (h *Host) Run(ctx context.Context, targets []matrix.Target, scenarios []string) (Report, error) {
	if err := h.check(targets, scenarios); err != nil {
		return nil, fmt.Errorf("testing on distributions: %w", err)
	}
	results := make([]Report, 2*len(targets)) // of each what is left out, and what is played
	tasks := make(chan task)
	group, working := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(tasks)
		return h.hand(working, targets, scenarios, results, tasks)
	})
	for range h.lanes() {
		group.Go(func() error {
			for t := range tasks {
				if *t.result = h.seated(working, t); working.Err() != nil {
					return context.Cause(working)
				}
				h.Say(t.result.String())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return slices.Concat(results...), fmt.Errorf("testing on distributions: %w", err)
	}
	return slices.Concat(results...), nil
}

// seated plays a scenario when there is room, and time.
func (h *Host) seated(ctx context.Context, t task) Result {
	if h.Room != nil {
		if err := h.Room.Acquire(ctx, 1); err != nil {
			return every(t.bench.target, []string{t.name}, err)[0]
		}
		defer h.Room.Release(1)
	}
	if h.late() {
		return every(t.bench.target, []string{t.name}, h.tooLate())[0]
	}
	return h.play(ctx, t.bench, t.name)
}

// task is one scenario at one target, and where its result goes.
type task struct {
	bench  bench
	name   string
	result *Result
}

// hand prepares one target after the other, because what prepares them fills
// the machine by itself, and hands out the scenarios of those that are ready.
func (h *Host) hand(ctx context.Context, targets []matrix.Target, scenarios []string, results []Report, tasks chan<- task) error {
	for i, target := range targets {
		scenarios, skipped, err := h.parted(target, target.Plays(scenarios, h.Special))
		if err != nil {
			return err
		}
		results[2*i] = skipped
		if results[2*i+1], err = h.handOne(ctx, target, scenarios, tasks); err != nil {
			return err
		}
	}
	return nil
}

// handOne prepares a target, and hands out its scenarios; their results are there when they
// have been played.
func (h *Host) handOne(ctx context.Context, target matrix.Target, scenarios []string, tasks chan<- task) (Report, error) {
	if len(scenarios) == 0 {
		return nil, nil // its row is for others
	}
	if h.late() {
		return every(target, scenarios, h.tooLate()), nil
	}
	made, err := h.prepare(ctx, target)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		results := every(target, scenarios, err)
		h.Say(container.Progress(target.Name(), "-", 0, results[0].note()))
		return results, nil
	}
	results := make(Report, len(scenarios))
	for i, name := range scenarios {
		select {
		case tasks <- task{made, name, &results[i]}:
		case <-ctx.Done():
			return results, context.Cause(ctx)
		}
	}
	return results, nil
}

// late says whether no scenario is begun any more.
func (h *Host) late() bool { return !h.Until.IsZero() && time.Now().After(h.Until) }

// tooLate is why not.
func (h *Host) tooLate() error { return fmt.Errorf("%w: %s", container.ErrSkip, h.Late) }

// check refuses arguments that would make a run pass by testing nothing.
func (h *Host) check(targets []matrix.Target, scenarios []string) error {
	if len(targets) == 0 {
		return errors.New("there is no place to test at")
	}
	if len(scenarios) == 0 {
		return errors.New("there is no scenario to run")
	}
	known, _ := List(h.Scenarios) // none is known where it cannot be read
	for _, name := range scenarios {
		if !slices.Contains(known, name) {
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

// bench is what a target's scenarios have in common.
type bench struct {
	target  matrix.Target
	image   string
	cgroups string
	label   string
}

// prepare finds out whether the target can be had here, and makes its image.
func (h *Host) prepare(ctx context.Context, target matrix.Target) (bench, error) {
	label, err := h.Claim(ctx)
	if err != nil {
		return bench{}, err
	}
	cgroups, err := container.CgroupTree()
	if err != nil {
		return bench{}, err
	}
	image, err := h.RootOf(ctx, target)
	return bench{target: target, image: image, cgroups: cgroups, label: label}, err
}

// folders are those that a container gets, by their place inside.
func (h *Host) folders() map[string]string {
	folders := map[string]string{"scenarios": h.Scenarios}
	maps.Copy(folders, h.Folders)
	if h.Library != "" {
		folders["scenarios/lib"] = h.Library
	}
	return folders
}
