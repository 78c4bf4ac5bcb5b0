package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/container"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/matrix"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/payload"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/transcript"
)

// scenarioTime bounds one run of a scenario's script.
const scenarioTime = 10 * time.Minute

// rebootCode is what a scenario's script exits with to be called again, with
// the next phase number, after a reboot. (Any number that no program in a
// scenario uses would do.)
const rebootCode = 194

// phases is how often a script is called at most.
const phases = 3

// play is one scenario on one target, whatever becomes of it.
func (h *Host) play(ctx context.Context, b bench, name string) Result {
	start := time.Now()
	kept := filepath.Join(h.Reports, b.target.Name(), name)
	said, err := h.steps(ctx, b, name, kept)
	result := Result{Distribution: b.target.Name(), Arch: b.target.Arch, Tier: b.target.Tier, Scenario: name, Status: Passed, Checks: said.Checks, Logs: kept}
	if err == nil && said.Checks == 0 {
		err = errors.New("it checked nothing")
	}
	switch {
	case err != nil && said.Skip != "" && code(err) == transcript.SkipCode:
		result.Status, result.Reason = Skipped, said.Skip
	case err != nil:
		result.Status, result.Reason = Failed, reason(said, err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result
}

// steps are all that is done for a scenario, once its target's root is there.
func (h *Host) steps(ctx context.Context, b bench, name, kept string) (said *transcript.Script, err error) {
	// What the script says is kept in a folder of its own, where nothing is left of an
	// earlier run.
	said, err = transcript.OfScript(kept)
	if err != nil {
		return said, err
	}
	defer said.Close()

	// It has fresh machines, which go whatever happens.
	m, err := h.machines(b, name)
	if err != nil {
		return said, err
	}
	defer func() { err = errors.Join(err, m.discard(ctx)) }()

	// The scripts, and what they need, are copied in before systemd boots.
	if err := h.bootAll(ctx, m, b.target); err != nil {
		return said, err
	}

	// The script runs, over as many reboots as it asks for.
	err = h.script(ctx, m.own, b.target, name, said)

	// What tells why it failed is brought out.
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, m.gather(ctx, evidence(b.target), kept))
	}
	return said, err
}

// attempts counts them, so that each container has a name of its own: several
// hosts of one process may play the same scenario at the same target.
var attempts atomic.Int64

// container is the scenario's. It has no network but loopback: targets can run side by
// side with SPIRE's ports in use, and a package that fetched something would fail. It is
// not removed at its end, for which see Container.Reboot.
func (h *Host) container(b bench, name string) container.Container {
	c := container.Container{
		Name:  fmt.Sprintf("spire-packages-%s-%s-%d-%d", b.target.Name(), name, os.Getpid(), attempts.Add(1)),
		Image: b.image, Label: b.label, Network: "none",
	}
	if h.Network {
		c.Network = "host"
	}
	if h.Web != "" {
		c.Volumes = []string{payload.WebVolume(h.Web)}
	}
	return c.WithSystemd(b.cgroups)
}

// boot brings the container up with the scenarios in it; peer is whether another one's
// script says what it does.
func (h *Host) boot(ctx context.Context, c container.Container, target matrix.Target, peer bool) error {
	step, cancel := context.WithTimeoutCause(ctx, container.StepTime, fmt.Errorf("no answer from Docker for %s", container.StepTime))
	defer cancel()
	if err := c.Create().Run(step); err != nil {
		return fmt.Errorf("creating the container: %w", err)
	}
	load := payload.Payload{Folders: h.folders(), Web: h.Web != "", Emulated: target.Emulated(), Peer: peer}
	if err := load.Deliver(step, c); err != nil {
		return fmt.Errorf("copying the scenarios in: %w", err)
	}
	if err := c.Start().Run(step); err != nil {
		return fmt.Errorf("starting the container: %w", err)
	}
	return h.await(ctx, c, target)
}

// await waits for systemd, and says which units of the root's own failed.
func (h *Host) await(ctx context.Context, c container.Container, target matrix.Target) error {
	failed, err := c.Booted(ctx, container.Patience(target.Arch))
	if err != nil {
		return fmt.Errorf("booting the container: %w", err)
	}
	if len(failed) > 0 {
		h.Say(container.Progress(target.Name(), "boot", 0, "degraded: "+strings.Join(failed, " ")))
	}
	return nil
}

// script runs the scenario's script, over as many reboots as it asks for.
func (h *Host) script(ctx context.Context, c container.Container, target matrix.Target, name string, said *transcript.Script) error {
	limit := scenarioTime * time.Duration(container.Patience(target.Arch))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	for phase := 1; phase <= phases; phase++ {
		script := c.Exec(vars(target, phase, h.Vars), payload.Script(name)...)
		script.Stdout, script.Stderr = said, said
		err := script.Run(ctx)
		if code(err) != rebootCode {
			return err
		}
		if err := c.Reboot(ctx); err != nil {
			return fmt.Errorf("rebooting the container: %w", err)
		}
		if err := h.await(ctx, c, target); err != nil {
			return err
		}
	}
	return fmt.Errorf("it asked for more than %d reboots", phases-1)
}

// vars are what a script knows of its target, and more.
func vars(target matrix.Target, phase int, more []string) []string {
	standIn := ""
	if target.Image.StandIn {
		standIn = "yes"
	}
	return append([]string{
		"PLACE=" + target.Name(), "FORMAT=" + target.Format, "CLIENT=" + target.Client(), "STANDIN=" + standIn,
		"ARCH=" + target.Arch, "PKGARCH=" + target.Packaging().Architecture(target.Arch),
		fmt.Sprintf("PATIENCE=%d", container.Patience(target.Arch)), fmt.Sprintf("PHASE=%d", phase),
	}, more...)
}

// evidence is what is kept of a container in which a scenario failed: file
// name and the command whose output it holds.
func evidence(target matrix.Target) map[string][]string {
	return map[string][]string{
		"packages.txt": append([]string{"tail", "--lines=+1"}, target.Packaging().Logs...),
		"journal.txt":  {"journalctl", "--no-pager", "--output=short-precise"},
		"units.txt":    {"systemctl", "status", "--no-pager", "--full", "--lines=0", "*.service"},
	}
}

// gather keeps the evidence. What cannot be had (a log that was never
// written, say) is noted in its own file: the failure itself is elsewhere.
func gather(ctx context.Context, c container.Container, evidence map[string][]string, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, container.StepTime)
	defer cancel()
	var errs []error
	for name, args := range evidence {
		text, err := c.Exec(nil, args...).Combined(ctx)
		if err != nil {
			text += "\n(" + container.LastLine(err) + ")\n"
		}
		errs = append(errs, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return errors.Join(errs...)
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

// reason is why the scenario failed, in one line: its own word if it had one,
// else what it said last and how it ended.
func reason(said *transcript.Script, err error) string {
	var exit *run.Error
	switch {
	case !errors.As(err, &exit) || exit.Code < 0 || !strings.Contains(exit.Line, " exec "):
		return strings.Join(strings.Fields(err.Error()), " ")
	case said.Fail != "":
		return said.Fail
	case said.Last != "":
		return fmt.Sprintf("exit code %d after: %s", exit.Code, said.Last)
	}
	return fmt.Sprintf("exit code %d without a word", exit.Code)
}
