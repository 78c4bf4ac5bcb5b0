package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/registration"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/workload"
)

// user finds out what a user's programs get from the agent, and why not.
func (e *examination) user(name string) {
	user, err := account.Lookup(name)
	if err != nil {
		e.found("--as "+name, "there is no such user", err.Error(), "getent passwd")
		return
	}
	answer, err := workload.FetchAs(e.context, e.AgentSocketPath(), user)
	switch {
	case err != nil:
		e.found("--as "+user.Name, "the Workload API could not be asked", err.Error(), "spire-agent api fetch x509, as that user")
	case len(answer.IDs) > 0:
		e.report.Identities = answer.IDs
		e.well("%s gets %s", user.Name, strings.Join(answer.IDs, ", "))
	case answer.Code == "PermissionDenied":
		e.unregistered(user)
	default:
		e.found(e.AgentSocketPath(), user.Name+" does not reach the Workload API", answer.Error, "systemctl status spire-agent")
	}
}

// unregistered is about a user for whom the agent has no entry.
func (e *examination) unregistered(user account.User) {
	registry, err := e.registry()
	if err != nil {
		e.elsewhere(user, err)
		return
	}
	nearest := registry.nearest(user)
	if len(nearest) > 0 && len(nearest[0].missing) == 0 {
		e.fitting(user, registry, nearest)
		return
	}
	why := "no entry fits: as the agent sees it, it is " + registration.Join(user.Selectors())
	for _, near := range nearest {
		why += fmt.Sprintf("; %s wants %s, which is missing", near.SPIFFEID, registration.Join(near.missing))
	}
	e.found("--as "+user.Name, "no identity issued", why, registry.add(user))
}

// fitting is about entries whose selectors fit, so that it is their parent, or the time.
func (e *examination) fitting(user account.User, r registry, nearest []candidate) {
	for _, near := range nearest {
		if len(near.missing) == 0 && r.reach[near.ParentID] {
			e.found("--as "+user.Name, "no identity issued yet", fmt.Sprintf("entry %s (%s) fits: a new one takes some seconds to reach the agent", near.ID, near.SPIFFEID), "wait ten seconds; then systemctl restart spire-agent")
			return
		}
	}
	near := nearest[0]
	e.found("--as "+user.Name, "no identity issued", fmt.Sprintf("entry %s (%s) fits, but is for another agent: its parent is %s, and this agent is %s", near.ID, near.SPIFFEID, near.ParentID, r.parent()), r.add(user))
}

// elsewhere is where the registry is not on this machine.
func (e *examination) elsewhere(user account.User, err error) {
	why := "no entry fits: as the agent sees it, it is " + registration.Join(user.Selectors())
	if !errors.Is(err, serverapi.ErrAbsent) {
		why += fmt.Sprintf(" (the entries could not be read: %v)", err)
	}
	e.found("--as "+user.Name, "no identity issued", why, fmt.Sprintf("spire-config entry add NAME --user %s --parent AGENT (on the server)", user.Name))
}

// A registry is what the server of this machine knows.
type registry struct {
	agent   registration.Agent
	server  string
	entries []registration.Entry
	reach   map[string]bool
}

func (e *examination) registry() (registry, error) {
	server, err := e.Server()
	if err != nil {
		return registry{}, err
	}
	defer func() { _ = server.Close() }()
	state, err := e.AgentIdentity()
	if err != nil {
		return registry{}, err
	}
	agents, err := server.Agents(e.context)
	if err != nil {
		return registry{}, err
	}
	r := registry{agent: registration.Agent{ID: state.ID().String()}, server: state.TrustDomain().IDString() + "/spire/server"}
	if at := slices.IndexFunc(agents, func(a registration.Agent) bool { return a.ID == r.agent.ID }); at >= 0 {
		r.agent = agents[at]
	}
	r.entries, err = server.Entries(e.context)
	r.reach = registration.Reach(r.agent, r.server, r.entries)
	return r, err
}

// parent is the name of this agent that entries may have as parent.
func (r registry) parent() string {
	return append(registration.Aliases(r.agent, r.server, r.entries), r.agent.ID)[0]
}

// add is the command that gives the user an identity.
func (r registry) add(user account.User) string {
	parent := r.parent()
	if id, err := spiffeid.FromString(parent); err == nil && !strings.HasPrefix(id.Path(), "/spire/") {
		parent = strings.TrimPrefix(id.Path(), "/")
	}
	return fmt.Sprintf("spire-config entry add NAME --user %s --parent %s", user.Name, parent)
}

// A candidate is an entry that could have been meant.
type candidate struct {
	registration.Entry
	missing []registration.Selector
}

// nearest are the entries that fit best, those of this agent first.
func (r registry) nearest(user account.User) []candidate {
	const most = 3
	var all []candidate
	for _, entry := range r.entries {
		if len(entry.Selectors) > 0 && ofWorkloads(entry) {
			all = append(all, candidate{entry, entry.Missing(user.Selectors())})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(a.missing), len(b.missing)), cmp.Compare(r.far(a), r.far(b)), cmp.Compare(a.SPIFFEID, b.SPIFFEID))
	})
	return all[:min(len(all), most)]
}

// ofWorkloads leaves out the aliases of agents.
func ofWorkloads(entry registration.Entry) bool {
	return slices.ContainsFunc(entry.Selectors, func(s registration.Selector) bool {
		return s.Type == "unix" || s.Type == "systemd"
	})
}

func (r registry) far(c candidate) int {
	if r.reach[c.ParentID] {
		return 0
	}
	return 1
}
