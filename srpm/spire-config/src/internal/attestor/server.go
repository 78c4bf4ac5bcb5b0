package attestor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Server is how a server shall attest agents, beside the ways that it has.
type Server struct {
	Plugin string
	Files  []Setting
	Start  bool
}

// Run configures the server and, where asked, starts it anew.
func (s Server) Run(ctx context.Context, m machine.Machine) error {
	if err := there(s.Files); err != nil {
		return err
	}
	text, err := os.ReadFile(m.ServerConfig())
	if err != nil {
		return err
	}
	edited, err := s.edit(text)
	if err != nil {
		return fmt.Errorf("editing %s: %w", m.ServerConfig(), err)
	}
	changed, err := m.Apply(change.Plan{
		Files: []change.File{{Path: m.ServerConfig(), Content: edited, Mode: 0o644}},
		Check: m.CheckServer(ctx),
	})
	if err != nil {
		return err
	}
	return s.finish(ctx, m, changed)
}

func (s Server) edit(text []byte) ([]byte, error) {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, setting := range s.Files {
		errs = append(errs, document.Set(setting.File, "plugins", "NodeAttestor", s.Plugin, "plugin_data", setting.Name))
	}
	return document.Bytes(), errors.Join(errs...)
}

func (s Server) finish(ctx context.Context, m machine.Machine, changed bool) error {
	switch {
	case !changed:
		m.Say("nothing to change: the server attests by %s", s.Plugin)
		return nil
	case m.DryRun && s.Start:
		m.Say("would enable and restart %s", layout.ServerUnit)
		return nil
	case m.DryRun:
		return nil
	case !s.Start:
		m.Say("next: systemctl restart spire-server")
		return nil
	}
	if err := m.Start(ctx, layout.ServerUnit); err != nil {
		return fmt.Errorf("starting the server: %w: spire-config doctor says why", err)
	}
	m.Say("%s runs, and attests agents by %s, too", layout.ServerUnit, s.Plugin)
	return nil
}
