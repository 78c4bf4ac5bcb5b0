package attestor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// Server is how a server shall attest agents, beside the ways that it has.
type Server struct {
	Plugin string
	Files  []Setting
	Values []Value
	// Hosts are regular expressions for the names of machines, of which each must be
	// fitted whole; none where the plugin has no names.
	Hosts []string
	Start bool
}

// ServerHTTPChallenge attests machines by their names in DNS, of which some are admitted
// and no others, and which it connects to at one port.
func ServerHTTPChallenge(hosts []string, number int) Server {
	return Server{Plugin: "http_challenge", Hosts: hosts, Values: []Value{{"required_port", strconv.Itoa(number)}}}
}

// Run configures the server and, where asked, starts it anew.
func (s Server) Run(ctx context.Context, m machine.Machine) error {
	if err := errors.Join(there(s.Files), s.sound()); err != nil {
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

func (s Server) sound() error {
	for _, host := range s.Hosts {
		if _, err := regexp.Compile(host); err != nil {
			return fmt.Errorf("hosts %q: %w", host, err)
		}
	}
	for _, value := range s.Values {
		if value.Name == "required_port" {
			return port(value.Text)
		}
	}
	return nil
}

// whole are expressions that the server's search finds in whole names alone.
func whole(hosts []string) []string {
	var all []string
	for _, host := range hosts {
		all = append(all, "^(?:"+host+")$")
	}
	return all
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
	for _, value := range s.Values {
		errs = append(errs, document.Set(value.Text, "plugins", "NodeAttestor", s.Plugin, "plugin_data", value.Name))
	}
	if len(s.Hosts) > 0 {
		errs = append(errs, document.SetList(literal(whole(s.Hosts)), "plugins", "NodeAttestor", s.Plugin, "plugin_data", "allowed_dns_patterns"))
	}
	return document.Bytes(), errors.Join(errs...)
}

// literal has no variables: the server runs with -expandEnv, and $ begins one.
func literal(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, strings.ReplaceAll(text, "$", "$$"))
	}
	return all
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
	if _, err := m.StartServer(ctx, true); err != nil {
		return err
	}
	m.Say("%s runs, and attests agents by %s, too", layout.ServerUnit, s.Plugin)
	return nil
}
