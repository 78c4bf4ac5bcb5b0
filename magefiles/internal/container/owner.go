package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// ownerLabel marks our containers with the process that made them.
const ownerLabel = "spire-packages.owner"

// proc is where the kernel lists processes.
const proc = "/proc"

// An owner is a process: its number and, because numbers are used again, its
// start time since boot. Where it is no longer alive, its containers are what
// a killed run left.

// ownerOf names the process with the number, read from proc (/proc).
func ownerOf(proc, pid string) (string, error) {
	stat, err := os.ReadFile(filepath.Join(proc, pid, "stat"))
	if err != nil {
		return "", fmt.Errorf("looking up process %s: %w", pid, err)
	}
	// The second field is the program's name in parentheses, and may hold
	// anything, spaces and parentheses included; the start time is the 22nd.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("looking up process %s: %q is too short", pid, stat)
	}
	return pid + "." + fields[19], nil
}

// alive says whether the owner still runs. An owner that is not of our form
// counts as alive: its containers are not ours to remove.
func alive(proc, owner string) bool {
	pid, _, found := strings.Cut(owner, ".")
	if !found || strings.Trim(pid, "0123456789") != "" || pid == "" {
		return true
	}
	now, err := ownerOf(proc, pid)
	return err == nil && now == owner
}

// ownedFormat is how Docker lists what is ours: name, tab, owner.
const ownedFormat = "{{.%s}}\t" + `{{.Label "` + ownerLabel + `"}}`

// Owned lists the containers with a label, KEY or KEY=value, running or not: name, tab,
// owner.
func Owned(label string) run.Command {
	return docker("ps", "--all", "--filter", "label="+label, "--format", fmt.Sprintf(ownedFormat, "Names"))
}

// clear removes the containers of runs that were killed, and then their networks.
func (d *Driver) clear(ctx context.Context) error {
	list, err := Owned(ownerLabel).Output(ctx)
	if err != nil {
		return fmt.Errorf("looking for containers of killed runs: %w", err)
	}
	var errs []error
	for _, name := range orphans(proc, list) {
		d.Say("removing container " + name + " of a killed run")
		errs = append(errs, Container{Name: name}.remove(ctx))
	}
	return errors.Join(append(errs, d.clearNetworks(ctx))...)
}

// orphans picks from Owned's lines the names whose owner is gone.
func orphans(proc, list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		name, owner, found := strings.Cut(strings.TrimSpace(line), "\t")
		if found && !alive(proc, owner) {
			names = append(names, name)
		}
	}
	return names
}
