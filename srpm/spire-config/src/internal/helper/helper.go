// Package helper sets up instances of spiffe-helper, which keep an identity in files.
package helper

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Add is what is asked of a new instance.
type Add struct {
	Name string
	// User is whom the files belong to, and whom the agent knows the instance by; ""
	// is spiffe-helper. Group may read the files.
	User, Group string
	Start       bool
}

// As the package's example.
//
//go:embed helper.conf
var packaged string

var instance = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// Run writes the instance's files and, where asked, starts it.
func (a Add) Run(ctx context.Context, m machine.Machine) error {
	if !instance.MatchString(a.Name) {
		return fmt.Errorf("name %q: want letters, digits, and _ . - between them", a.Name)
	}
	if err := a.installed(ctx, m); err != nil {
		return err
	}
	plan, err := a.plan(m)
	if err != nil {
		return err
	}
	changed, err := m.Apply(plan)
	if err != nil {
		return err
	}
	if !changed {
		m.Say("nothing to change: %s is as it shall be", m.HelperConfig(a.Name))
	}
	return a.finish(ctx, m, changed)
}

func (a Add) unit() string { return layout.HelperUnit(a.Name) }

func (a Add) installed(ctx context.Context, m machine.Machine) error {
	state, err := m.Systemd.Show(ctx, a.unit(), "LoadState")
	if err == nil && state["LoadState"] == "not-found" {
		return errors.New("there is no unit spiffe-helper@.service: install the package spiffe-helper")
	}
	return nil
}

func (a Add) plan(m machine.Machine) (change.Plan, error) {
	text, err := os.ReadFile(m.HelperConfig(a.Name))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte(strings.ReplaceAll(packaged, "NAME", a.Name)), nil
	}
	if err != nil {
		return change.Plan{}, err
	}
	edited, err := a.edit(m, text)
	if err != nil {
		return change.Plan{}, fmt.Errorf("editing %s: %w", m.HelperConfig(a.Name), err)
	}
	files := []change.File{{Path: m.HelperConfig(a.Name), Content: edited, Mode: 0o644}}
	dropIn, err := a.dropIn(m)
	return change.Plan{Files: append(files, dropIn...)}, err
}

func (a Add) edit(m machine.Machine, text []byte) ([]byte, error) {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil, err
	}
	errs := []error{document.Set(m.AgentSocketPath(), "agent_address")}
	if a.Group != "" {
		errs = append(errs, document.Set("0640", "key_file_mode"))
	}
	return document.Bytes(), errors.Join(errs...)
}

// dropIn gives the unit its user and group, if they are others than the package's.
func (a Add) dropIn(m machine.Machine) ([]change.File, error) {
	lines, name, err := a.lines()
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	head := "# By spire-config helper add.\n[Service]\n"
	return []change.File{{
		Path:    m.DropIn(a.unit(), name),
		Content: []byte(head + strings.Join(lines, "\n") + "\n"),
		Mode:    0o644,
	}}, nil
}

func (a Add) lines() (lines []string, name string, err error) {
	name, group := "group.conf", a.Group
	if a.User != "" {
		user, err := account.Lookup(a.User)
		if err != nil {
			return nil, "", err
		}
		name, lines = "user.conf", append(lines, "User="+user.Name)
		if group == "" {
			group = user.Group
		}
	}
	if a.Group != "" {
		if _, err := account.LookupGroup(a.Group); err != nil {
			return nil, "", err
		}
	}
	if group != "" {
		lines = append(lines, "Group="+group)
	}
	if a.Group != "" {
		lines = append(lines, "StateDirectoryMode=0750", "UMask=0027")
	}
	return lines, name, nil
}

// patience is how long an entry that was just made may take to reach the agent, and a
// little more.
const patience = 20 * time.Second

func (a Add) finish(ctx context.Context, m machine.Machine, changed bool) error {
	switch {
	case m.DryRun && a.Start:
		m.Say("would enable and start %s", a.unit())
		return nil
	case m.DryRun:
		return nil
	case !a.Start:
		m.Say("next: systemctl daemon-reload && systemctl enable --now %s", a.unit())
		a.tell(m)
		return nil
	}
	if changed || !m.Running(ctx, a.unit()) {
		if err := m.Start(ctx, a.unit()); err != nil {
			return fmt.Errorf("starting %s: %w", a.unit(), err)
		}
	}
	return a.wait(ctx, m)
}

func (a Add) tell(m machine.Machine) {
	user := a.User
	if user == "" {
		user = "spiffe-helper"
	}
	m.Say("the agent knows it by --user %s: on the server, spire-config entry add NAME --user %s", user, user)
}

// wait comes back when the files are there: the unit itself is up before.
func (a Add) wait(ctx context.Context, m machine.Machine) error {
	certificate := filepath.Join(m.HelperState(a.Name), "svid.pem")
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := os.Stat(certificate); err == nil {
			m.Say("%s runs, and keeps its files in %s", a.unit(), m.HelperState(a.Name))
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	a.tell(m)
	return fmt.Errorf("%s runs, but gets no identity: is there an entry for it? spire-config doctor --as USER says why", a.unit())
}
