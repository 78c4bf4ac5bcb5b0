// Package entry registers workloads on the server of this machine.
package entry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/enroll"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/registration"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
)

// Add is what is asked of a new entry.
type Add struct {
	Name string
	// Who gets the identity: all that is said must fit.
	User, Group, Service, Container string
	Selectors                       []string
	// Parent is the agent's ID or alias, or the alias's name; "" is the only agent.
	Parent   string
	DNSNames []string
	TTL      time.Duration
}

// Run makes the entry.
func (a Add) Run(ctx context.Context, m machine.Machine) error {
	selectors, err := a.selectors()
	if err != nil {
		return err
	}
	server, err := m.Server()
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	td, _, err := server.Bundle(ctx)
	if err != nil {
		return err
	}
	id, err := enroll.ID(td, a.Name)
	if err != nil {
		return err
	}
	parent, err := a.parent(ctx, server, td)
	if err != nil {
		return err
	}
	return a.add(ctx, m, server, registration.Entry{
		SPIFFEID: id.String(), ParentID: parent, Selectors: selectors, DNSNames: a.DNSNames, TTL: a.TTL,
	})
}

func (a Add) selectors() ([]registration.Selector, error) {
	var all []registration.Selector
	for _, word := range []struct{ kind, prefix, value string }{
		{"unix", "user:", a.User}, {"unix", "group:", a.Group}, {"systemd", "id:", a.Service}, {"docker", "image_id:", a.Container},
	} {
		if word.value != "" {
			all = append(all, registration.Selector{Type: word.kind, Value: word.prefix + word.value})
		}
	}
	for _, text := range a.Selectors {
		selector, err := registration.ParseSelector(text)
		if err != nil {
			return nil, err
		}
		all = append(all, selector)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("who gets the identity? say --user, --group, --service, --container or --selector")
	case a.Service != "" && !strings.Contains(a.Service, "."):
		return nil, fmt.Errorf("service %q: give the whole name of the unit, such as %s.service", a.Service, a.Service)
	case a.TTL < 0:
		return nil, fmt.Errorf("a ttl of %s is none", a.TTL)
	}
	return all, nil
}

func (a Add) parent(ctx context.Context, server *serverapi.Server, td spiffeid.TrustDomain) (string, error) {
	if strings.HasPrefix(a.Parent, "spiffe://") {
		return a.Parent, nil
	}
	if a.Parent != "" {
		id, err := spiffeid.FromPath(td, "/"+a.Parent)
		return id.String(), err
	}
	agents, err := server.Agents(ctx)
	if err != nil {
		return "", err
	}
	entries, err := server.Entries(ctx)
	if err != nil {
		return "", err
	}
	return registration.Parent(agents, td.IDString()+"/spire/server", entries)
}

func (a Add) add(ctx context.Context, m machine.Machine, server *serverapi.Server, entry registration.Entry) error {
	there, err := server.Entries(ctx)
	if err != nil {
		return err
	}
	same := slices.IndexFunc(there, entry.Same)
	switch {
	case same >= 0:
		return a.known(m, entry, there[same])
	case m.DryRun:
		m.Say("+ entry %s\n+   parent    %s\n+   selectors %s", entry.SPIFFEID, entry.ParentID, registration.Join(entry.Selectors))
		return nil
	}
	made, existed, err := server.AddEntry(ctx, entry)
	if err != nil {
		return err
	}
	if existed {
		return a.known(m, entry, made)
	}
	m.Say("entry %s: %s for %s, below %s", made.ID, made.SPIFFEID, registration.Join(made.Selectors), made.ParentID)
	m.Say("it reaches the agent within some seconds")
	a.hint(m)
	return nil
}

func (a Add) known(m machine.Machine, asked, there registration.Entry) error {
	if !slices.Equal(asked.DNSNames, there.DNSNames) || asked.TTL != there.TTL {
		return fmt.Errorf("entry %s is there already, with other DNS names or another TTL: spire-server entry update -entryID %s, or spire-server entry delete -entryID %s before", there.ID, there.ID, there.ID)
	}
	m.Say("entry %s is there already: nothing to change", there.ID)
	return nil
}

// hint names what the agent of this machine needs to see a selector.
func (a Add) hint(m machine.Machine) {
	file, err := m.AgentConfiguration()
	if err != nil || file == nil {
		return
	}
	for _, need := range []struct{ asked, plugin, what string }{{a.Service, "systemd", "units"}, {a.Container, "docker", "containers"}} {
		if _, ok := file.Plugin("WorkloadAttestor", need.plugin); need.asked != "" && !ok {
			m.Note("warning: the agent of this machine does not look at %s: add WorkloadAttestor \"%s\" { plugin_data {} } to %s, and what spire-config check says then", need.what, need.plugin, m.AgentConfig())
		}
	}
}
