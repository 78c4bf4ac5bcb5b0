// Package systemd asks systemd about units, and has it start them.
package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A Manager is systemd, or in tests what stands for it.
type Manager interface {
	// Show returns properties of a unit, as systemctl show prints them, or with "" of
	// systemd itself.
	Show(ctx context.Context, unit string, properties ...string) (map[string]string, error)
	// Do runs a verb of systemctl: enable, restart, stop, daemon-reload, ...
	Do(ctx context.Context, verb string, units ...string) error
	// Journal returns the last lines of a unit's log since it was last started.
	Journal(ctx context.Context, unit string, lines int) ([]string, error)
}

// ErrAbsent is where systemd does not run, such as in most containers.
var ErrAbsent = errors.New("systemd does not run on this machine")

// Local is the systemd of this machine.
type Local struct{}

// Show gives properties of a unit, or of systemd itself where unit is empty.
func (Local) Show(ctx context.Context, unit string, properties ...string) (map[string]string, error) {
	arguments := []string{"show", "--property=" + strings.Join(properties, ",")}
	if unit != "" {
		arguments = append(arguments, "--", unit)
	}
	out, err := run(ctx, "systemctl", arguments...)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			values[name] = value
		}
	}
	return values, nil
}

// Do runs a verb of systemctl, such as start, on units.
func (Local) Do(ctx context.Context, verb string, units ...string) error {
	_, err := run(ctx, "systemctl", append([]string{verb, "--"}, units...)...)
	return err
}

// Journal gives the last lines that a unit has said since the boot.
func (Local) Journal(ctx context.Context, unit string, lines int) ([]string, error) {
	out, err := run(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat",
		"--unit="+unit, "--boot", "--lines="+strconv.Itoa(lines))
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

// run runs a program of systemd's, in English, and has its words in the error.
func run(ctx context.Context, program string, arguments ...string) ([]byte, error) {
	// Longer than any unit of ours may take to start.
	ctx, cancel := context.WithTimeout(ctx, 6*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(command.Environ(), "LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0")
	var words bytes.Buffer
	command.Stderr = &words
	out, err := command.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound), strings.Contains(words.String(), "not been booted with systemd"):
		return nil, ErrAbsent
	case err != nil:
		return nil, fmt.Errorf("%s %s: %s", program, strings.Join(arguments, " "), said(words.String(), err))
	}
	return out, nil
}

func said(words string, err error) string {
	line, _, _ := strings.Cut(strings.TrimSpace(words), "\n")
	if line == "" {
		return err.Error()
	}
	return line
}

// Version is systemd's own, such as 252; 0 where it does not say.
func Version(ctx context.Context, m Manager) int {
	values, err := m.Show(ctx, "", "Version")
	if err != nil {
		return 0
	}
	// As "252.39-1~deb12u1" or "v239 (239-82.el8)".
	digits := strings.TrimLeft(values["Version"], "v")
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(digits)
	}
	// Where there are no digits, it is 0.
	version, _ := strconv.Atoi(digits[:end])
	return version
}
