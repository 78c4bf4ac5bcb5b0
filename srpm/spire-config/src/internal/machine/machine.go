// Package machine is what the commands work on: a machine with its files, its systemd and
// its clock.
package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/agentstate"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// A Machine is the one that the program runs on, or in tests a folder that stands for
// it.
type Machine struct {
	layout.Root
	Systemd systemd.Manager
	Now     func() time.Time
	// Out is for what was asked for, Notes for words beside it.
	Out, Notes io.Writer
	// DryRun shows what would change, and changes nothing.
	DryRun bool
}

// Say writes a line for the admin.
func (m Machine) Say(format string, arguments ...any) {
	fmt.Fprintf(m.Out, format+"\n", arguments...)
}

// Note writes a line for the admin that is not what was asked for.
func (m Machine) Note(format string, arguments ...any) {
	fmt.Fprintf(m.Notes, format+"\n", arguments...)
}

// Apply writes the files of a plan that differ, or shows how, and says whether any does.
func (m Machine) Apply(plan change.Plan) (bool, error) {
	pending, err := plan.Pending()
	if err != nil || len(pending.Files) == 0 {
		return false, err
	}
	if m.DryRun {
		return true, pending.Diff(m.Out)
	}
	if err := pending.Apply(); err != nil {
		return true, err
	}
	for _, file := range pending.Files {
		m.Say("wrote %s", file.Path)
	}
	return true, nil
}

// Start enables units and starts them anew, and comes back when they answer.
func (m Machine) Start(ctx context.Context, unit string) error {
	if err := m.Systemd.Do(ctx, "daemon-reload"); err != nil {
		return err
	}
	if err := m.Systemd.Do(ctx, "enable", unit); err != nil {
		return err
	}
	return m.Systemd.Do(ctx, "restart", unit)
}

// StartServer starts the server anew, and says whether it did: one that runs as it is
// configured is left alone.
func (m Machine) StartServer(ctx context.Context, changed bool) (bool, error) {
	if !changed && m.Running(ctx, layout.ServerUnit) {
		m.Say("%s runs already", layout.ServerUnit)
		return false, nil
	}
	if err := m.Start(ctx, layout.ServerUnit); err != nil {
		return false, fmt.Errorf("starting the server: %w: spire-config doctor says why", err)
	}
	return true, nil
}

// Running says whether a unit is active and enabled, as Start leaves it.
func (m Machine) Running(ctx context.Context, unit string) bool {
	state, err := m.Systemd.Show(ctx, unit, "ActiveState", "UnitFileState")
	return err == nil && state["ActiveState"] == "active" && state["UnitFileState"] == "enabled"
}

// Active says whether a unit runs, or tries to. Where systemd is not, none does.
func (m Machine) Active(ctx context.Context, unit string) bool {
	state, err := m.Systemd.Show(ctx, unit, "ActiveState")
	return err == nil && (state["ActiveState"] == "active" || state["ActiveState"] == "activating")
}

// ServerConfiguration is the server's, which is nil where there is none.
func (m Machine) ServerConfiguration() (*config.File, error) {
	return m.configuration(m.ServerConfig(), m.ServerEnv())
}

// AgentConfiguration is the agent's, which is nil where there is none.
func (m Machine) AgentConfiguration() (*config.File, error) {
	return m.configuration(m.AgentConfig(), m.AgentEnv())
}

func (m Machine) configuration(path, envPath string) (*config.File, error) {
	env, err := config.Env(m.Envs(envPath)...)
	if errors.Is(err, fs.ErrPermission) {
		// Not root: the secrets are closed, the rest may be read.
		err = nil
	}
	if err != nil {
		return nil, err
	}
	file, err := config.Read(path, env)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return file, err
}

// AgentIdentity is what the agent of this machine knows of itself.
func (m Machine) AgentIdentity() (agentstate.State, error) {
	file, err := m.AgentConfiguration()
	if err != nil || file == nil {
		return agentstate.State{}, err
	}
	return agentstate.Read(m.AgentState(file.Value("agent", "data_dir").Text))
}

// DropInText is all that drop-ins, the packages' and the admin's, add to a unit.
func (m Machine) DropInText(unit string) string {
	var text strings.Builder
	for _, folder := range m.DropIns(unit) {
		// A pattern that is right does not fail.
		files, _ := filepath.Glob(filepath.Join(folder, "*.conf"))
		for _, file := range files {
			one, err := os.ReadFile(file)
			if err == nil {
				text.Write(append(one, '\n'))
			}
		}
	}
	return text.String()
}

// Server connects to the server of this machine.
func (m Machine) Server() (*serverapi.Server, error) {
	return serverapi.Dial(m.ServerSocketPath())
}

// ServerSocketPath is the socket that the server's configuration names.
func (m Machine) ServerSocketPath() string {
	file, err := m.ServerConfiguration()
	return socket(file, err, "server", m.ServerSocket())
}

// AgentSocketPath is the socket that the agent's configuration names.
func (m Machine) AgentSocketPath() string {
	file, err := m.AgentConfiguration()
	return socket(file, err, "agent", m.AgentSocket())
}

// A configuration that cannot be read is for others to complain of.
func socket(file *config.File, err error, block, packaged string) string {
	if err != nil || file == nil {
		return packaged
	}
	if path := file.Value(block, "socket_path").Text; path != "" {
		return path
	}
	return packaged
}
