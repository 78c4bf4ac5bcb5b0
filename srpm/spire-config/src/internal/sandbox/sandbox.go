// Package sandbox runs commands as a service of systemd's would run: with its user, its
// variables and credentials, and what its unit and drop-ins hide from it.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// A Sandbox is that of a unit.
type Sandbox struct {
	manager systemd.Manager
	unit    string
	// files are the unit's own and its drop-ins, in the order in which systemd reads them.
	files []string
	// units is where systemd looks for units of this boot.
	units string
}

// A Refusal is why the commands did not go through.
type Refusal struct {
	// Started says that the sandbox could be set up, and the words are a command's.
	Started bool
	// Words are lines of the journal.
	Words []string
	Err   error
}

func (r Refusal) Error() string {
	return strings.TrimSpace(strings.Join(append(r.Words, r.Err.Error()), "\n"))
}

// Unwrap is systemctl's own error.
func (r Refusal) Unwrap() error { return r.Err }

// Of finds the sandbox of a unit as it will be with the files of a plan. It is
// systemd.ErrAbsent where systemd does not run, or does not have the unit.
func Of(ctx context.Context, root layout.Root, manager systemd.Manager, unit string, staged change.Staged) (Sandbox, error) {
	s := Sandbox{manager: manager, unit: unit, units: root.Units()}
	// As sd_booted(3).
	if _, err := os.Stat(s.units); err != nil {
		return s, systemd.ErrAbsent
	}
	fragment, dropIns, err := s.loaded(ctx)
	if err != nil {
		return s, err
	}
	s.files = append([]string{fragment}, overlaid(dropIns, filepath.Dir(root.DropIn(unit, "x")), staged)...)
	return s, nil
}

// loaded are the files that systemd has of the unit, read anew where they have changed.
func (s Sandbox) loaded(ctx context.Context) (fragment string, dropIns []string, err error) {
	const changed, load, fragmentPath, dropInPaths = "NeedDaemonReload", "LoadState", "FragmentPath", "DropInPaths"
	state, err := s.manager.Show(ctx, s.unit, changed, load, fragmentPath, dropInPaths)
	if err == nil && state[changed] == "yes" {
		if err := s.manager.Do(ctx, "daemon-reload"); err != nil {
			return "", nil, err
		}
		state, err = s.manager.Show(ctx, s.unit, load, fragmentPath, dropInPaths)
	}
	if err != nil {
		return "", nil, err
	}
	if state[load] != "loaded" || state[fragmentPath] == "" {
		return "", nil, systemd.ErrAbsent
	}
	return state[fragmentPath], strings.Fields(state[dropInPaths]), nil
}

// overlaid are the drop-ins with those of a plan, which lie in one folder, among them or
// in their place.
func overlaid(dropIns []string, folder string, staged change.Staged) []string {
	type file struct{ name, path string }
	var all []file
	for _, path := range dropIns {
		all = append(all, file{filepath.Base(path), path})
	}
	for path, temporary := range staged {
		if filepath.Dir(path) != folder || filepath.Ext(path) != ".conf" {
			continue
		}
		name := filepath.Base(path)
		all = slices.DeleteFunc(all, func(f file) bool { return f.name == name })
		all = append(all, file{name, temporary})
	}
	slices.SortStableFunc(all, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var paths []string
	for _, f := range all {
		paths = append(paths, f.path)
	}
	return paths
}

// Run runs commands one after the other, each with the variables that the staged files
// of a plan have for it. What they refuse is a Refusal.
func (s Sandbox) Run(ctx context.Context, staged change.Staged, commands ...[]string) error {
	text, err := s.text(staged, commands)
	if err != nil {
		return err
	}
	unit, err := s.write(text)
	if err != nil {
		return fmt.Errorf("trying the sandbox of %s: %w", s.unit, err)
	}
	defer func() { _ = os.Remove(unit) }()
	name := filepath.Base(unit)
	err = s.manager.Do(ctx, "start", name)
	if err == nil || errors.Is(err, systemd.ErrAbsent) || ctx.Err() != nil {
		return err
	}
	return s.refused(ctx, name, err)
}

// write makes a unit of this boot, whose name nothing else has.
func (s Sandbox) write(text string) (string, error) {
	file, err := os.CreateTemp(s.units, "spire-config-*.service")
	if err != nil {
		return "", err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Chmod(0o644)); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// The journal gets a process's last words a moment after its end: they are all there
// when no more come.
const (
	moment  = 100 * time.Millisecond
	moments = 20
)

func (s Sandbox) refused(ctx context.Context, name string, why error) error {
	refusal := Refusal{Err: why}
	for range moments {
		lines, err := s.manager.Journal(ctx, name, 100)
		if err != nil {
			return errors.Join(refusal, err)
		}
		words, started := told(lines, name, s.units)
		if len(words) > 0 && len(words) == len(refusal.Words) {
			return refusal
		}
		refusal.Words, refusal.Started = words, started
		time.Sleep(moment)
	}
	return refusal
}

// told are the words that tell why: systemd's where it could not set the sandbox up,
// or else those of the commands.
func told(lines []string, name, units string) (words []string, started bool) {
	var said []string
	for _, line := range lines {
		of, isSystemds := strings.CutPrefix(line, name+": ")
		switch {
		case isSystemds && (strings.HasPrefix(of, "Failed to ") || strings.HasPrefix(of, "Failed at ")):
			return []string{of}, false
		case isSystemds, strings.HasPrefix(line, units), strings.Contains(line, description), strings.TrimSpace(line) == "":
		default:
			said = append(said, line)
		}
	}
	return said, true
}
