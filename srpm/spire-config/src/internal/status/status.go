// Package status says on one screen how SPIRE is on a machine.
package status

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// A Service is how the server or the agent is.
type Service struct {
	Version     string `json:"version,omitempty"`
	TrustDomain string `json:"trust_domain,omitempty"`
	// Unit is what systemd says: active, enabled.
	Active  string `json:"active,omitempty"`
	Enabled string `json:"enabled,omitempty"`
	Healthy bool   `json:"healthy"`
	// Trouble is why it is not healthy.
	Trouble string     `json:"trouble,omitempty"`
	Address string     `json:"address,omitempty"`
	ID      string     `json:"spiffe_id,omitempty"`
	Expires *time.Time `json:"svid_expires,omitempty"`
}

// A Server is a service with what it looks after.
type Server struct {
	Service
	Agents  int `json:"agents"`
	Entries int `json:"entries"`
	// BundleExpires is when the last root certificate ends.
	BundleExpires *time.Time `json:"bundle_expires,omitempty"`
}

// A Status is that of a machine; what is not installed is nil.
type Status struct {
	Config string   `json:"spire_config"`
	Server *Server  `json:"server,omitempty"`
	Agent  *Service `json:"agent,omitempty"`
}

// Of asks a machine. The version is this program's.
func Of(ctx context.Context, m machine.Machine, version string) Status {
	status := Status{Config: version}
	if _, err := os.Stat(m.ServerConfig()); err == nil {
		status.Server = server(ctx, m)
	}
	if _, err := os.Stat(m.AgentConfig()); err == nil {
		status.Agent = agent(ctx, m)
	}
	return status
}

func server(ctx context.Context, m machine.Machine) *Server {
	file, err := m.ServerConfiguration()
	s := &Server{Service: service(ctx, m, spire.Server, layout.ServerUnit, m.ServerSocketPath())}
	if err != nil {
		s.Trouble = err.Error()
		return s
	}
	s.of(file, "server", "bind_address", "bind_port")
	if s.Healthy {
		if err := s.ask(ctx, m); err != nil {
			s.Trouble = err.Error()
		}
	}
	return s
}

func (s *Service) of(file *config.File, block, host, port string) {
	s.TrustDomain = file.Value(block, "trust_domain").Text
	s.Address = file.Value(block, host).Text + ":" + file.Value(block, port).Text
}

func (s *Server) ask(ctx context.Context, m machine.Machine) error {
	running, err := m.Server()
	if err != nil {
		return err
	}
	defer func() { _ = running.Close() }()
	info, err := running.Info(ctx)
	if err != nil {
		return err
	}
	td, roots, err := running.Bundle(ctx)
	if err != nil {
		return err
	}
	s.TrustDomain, s.ID = td.Name(), td.IDString()+"/spire/server"
	s.Agents, s.Entries, s.Expires = info.Agents, info.Entries, &info.Expires
	for _, root := range roots {
		if s.BundleExpires == nil || root.NotAfter.After(*s.BundleExpires) {
			s.BundleExpires = &root.NotAfter
		}
	}
	return nil
}

func agent(ctx context.Context, m machine.Machine) *Service {
	file, err := m.AgentConfiguration()
	s := service(ctx, m, spire.Agent, layout.AgentUnit, m.AgentSocketPath())
	if err != nil {
		s.Trouble = err.Error()
		return &s
	}
	s.of(file, "agent", "server_address", "server_port")
	// The state is root's.
	if state, err := m.AgentIdentity(); err == nil && len(state.SVID) > 0 {
		expires := state.Expires()
		s.ID, s.Expires = state.ID().String(), &expires
	}
	return &s
}

func service(ctx context.Context, m machine.Machine, program spire.Program, unit, socket string) Service {
	s := Service{Version: program.Version(ctx)}
	if state, err := m.Systemd.Show(ctx, unit, "ActiveState", "UnitFileState"); err == nil {
		s.Active, s.Enabled = state["ActiveState"], state["UnitFileState"]
	}
	if err := serverapi.Healthy(ctx, socket); err != nil {
		s.Trouble = err.Error()
	} else {
		s.Healthy = true
	}
	return s
}

// Write writes a status for people.
func (s Status) Write(out io.Writer, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, arguments ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, arguments...))
	}
	row("spire-config", "%s", s.Config)
	if s.Server != nil {
		s.Server.rows(row, "spire-server", "listens on", now)
		if s.Server.BundleExpires != nil {
			row("  trust bundle", "until %s", until(*s.Server.BundleExpires, now))
			row("  registered", "%d agents, %d entries", s.Server.Agents, s.Server.Entries)
		}
	}
	if s.Agent != nil {
		s.Agent.rows(row, "spire-agent", "server", now)
	}
	if s.Server == nil && s.Agent == nil {
		row("SPIRE", "neither spire-server nor spire-agent is installed")
	}
	return table.Flush()
}

func (s Service) rows(row func(string, string, ...any), name, address string, now time.Time) {
	row(name, "%s", strings.TrimSpace(or(s.Version, "not installed")+" "+or(s.Active, "without systemd")+" "+s.Enabled))
	row("  trust domain", "%s", s.TrustDomain)
	row("  "+address, "%s", s.Address)
	if s.Healthy {
		row("  health", "healthy")
	} else {
		row("  health", "%s", s.Trouble)
	}
	if s.Expires != nil {
		row("  SVID", "%s, until %s", s.ID, until(*s.Expires, now))
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func until(end, now time.Time) string {
	left := end.Sub(now).Round(time.Minute)
	if left <= 0 {
		return end.UTC().Format(time.RFC3339) + " (expired)"
	}
	return fmt.Sprintf("%s (%s)", end.UTC().Format(time.RFC3339), left)
}

// JSON writes a status for programs.
func (s Status) JSON() ([]byte, error) { return json.MarshalIndent(s, "", "  ") }
