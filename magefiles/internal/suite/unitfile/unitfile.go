// Package unitfile has systemd itself read every unit and drop-in, and measure every service.
package unitfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/lint"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

// Check has systemd itself read every unit, and measures every service.
func Check(ctx context.Context, t *tally.Tally, c subject.Checkout) error {
	place, err := lint.Find(ctx, c, "systemd")
	if err != nil {
		return err
	}
	return checkBy(ctx, t, c.Root, place)
}

// checkBy is Check by the systemd of a place.
func checkBy(ctx context.Context, t *tally.Tally, checkout string, place toolroot.Root) error {
	packages, err := pkgdef.Load(checkout)
	if err != nil {
		return err
	}
	t.Part("folders of the units", func() error { return pkgdef.CheckFolders(packages) })
	root, err := unitRoot(packages)
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	systemd := analyzer{place, root}
	for _, p := range packages {
		for _, unit := range p.Units.Names() {
			t.Part("unit "+unit, func() error { return checkUnit(ctx, systemd, unit, p.Exposure) })
		}
		for _, file := range dropIns(p) {
			t.Part("drop-in "+filepath.Base(file)+" of "+p.Name, func() error { return checkDropIn(ctx, systemd, p, file) })
		}
	}
	return tally.ErrCounted
}

// unitRoot is a root folder with the units and what they name, for systemd to
// look at without installing anything.
func unitRoot(packages []pkgdef.Package) (string, error) {
	root, err := os.MkdirTemp("", "spire-packages-units-")
	if err != nil {
		return "", err
	}
	units := filepath.Join(root, "usr/lib/systemd/system")
	err = errors.Join(os.MkdirAll(units, 0o755), os.Symlink("usr/bin", filepath.Join(root, "bin")))
	programs := []string{"/usr/bin/sh"}
	for _, p := range packages {
		if p.HasProgram() {
			programs = append(programs, p.Program())
		}
		for _, entry := range p.Systemd {
			switch {
			case strings.HasPrefix(entry.Path, "/usr/lib/systemd/system/"):
				content, readErr := os.ReadFile(entry.From)
				err = errors.Join(err, readErr, artifact.WriteBytes(filepath.Join(root, entry.Path), 0o644, content))
			case entry.Mode&0o111 != 0:
				programs = append(programs, entry.Path)
			}
		}
		for _, unit := range p.Units.Shared() {
			content, readErr := os.ReadFile(unit)
			err = errors.Join(err, readErr, artifact.WriteBytes(filepath.Join(units, filepath.Base(unit)), 0o644, content))
		}
	}
	for _, program := range programs {
		err = errors.Join(err, artifact.WriteBytes(filepath.Join(root, program), 0o755, []byte("#!/bin/sh\n")))
	}
	// Units that every system has, and ours name.
	for _, other := range []string{"basic.target", "shutdown.target", "sysinit.target", "multi-user.target", "network-online.target", "time-sync.target", "umount.target", "system.slice", "-.slice", "-.mount", "dbus.socket", "systemd-journald.socket", "tmp.mount"} {
		text := "[Unit]\nDescription=" + other + "\n"
		if strings.HasSuffix(other, ".mount") {
			continue
		}
		if strings.HasSuffix(other, ".socket") {
			text += "[Socket]\nListenStream=/run/" + other + "\n"
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(units, other), []byte(text), 0o644))
	}
	return root, err
}

// analyzer has systemd-analyze look at a root folder's units.
type analyzer struct {
	place toolroot.Root // which has systemd
	root  string
}

func (a analyzer) ask(ctx context.Context, verb string, args ...string) (said string, err error) {
	command := run.New("systemd-analyze", append([]string{verb, "--root=" + a.root}, args...)...)
	return a.place.Command(command, a.root).Combined(ctx)
}

func checkUnit(ctx context.Context, systemd analyzer, unit string, most float64) error {
	instance := strings.Replace(unit, "@.", "@main.", 1)
	if err := silent(ctx, systemd, unit); err != nil {
		return err
	}
	if !strings.HasSuffix(unit, ".service") {
		return nil
	}
	level, err := measure(ctx, systemd, instance)
	if err != nil {
		return err
	}
	if level > most {
		return fmt.Errorf("its exposure is %.1f, more than %.1f", level, most)
	}
	return nil
}

// measure is the overall exposure of a service. The JSON has no sum, so it is
// read from the closing line.
func measure(ctx context.Context, systemd analyzer, unit string) (float64, error) {
	out, err := systemd.ask(ctx, "security", "--no-pager", "--offline=true", unit)
	_, rest, ok := strings.Cut(out, "Overall exposure level for "+unit+": ")
	word, _, _ := strings.Cut(rest, " ")
	level, parseErr := strconv.ParseFloat(word, 64)
	if !ok || parseErr != nil {
		return 0, fmt.Errorf("systemd-analyze security gave no exposure: %w%s", errors.Join(err, parseErr), tally.Indented(out))
	}
	return level, nil
}
