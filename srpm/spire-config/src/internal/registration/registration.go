// Package registration has the words of a SPIRE server's registry: which workloads on
// which agents get which identity.
package registration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Selector is a property of a workload or a node, such as unix and user:www-data.
type Selector struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

func (s Selector) String() string { return s.Type + ":" + s.Value }

// ParseSelector reads TYPE:VALUE.
func ParseSelector(text string) (Selector, error) {
	kind, value, ok := strings.Cut(text, ":")
	if !ok || kind == "" || value == "" {
		return Selector{}, fmt.Errorf("selector %q: want TYPE:VALUE, such as unix:user:www-data", text)
	}
	return Selector{kind, value}, nil
}

// Join writes selectors as a list.
func Join(all []Selector) string {
	words := make([]string, len(all))
	for i, one := range all {
		words[i] = one.String()
	}
	return strings.Join(words, ", ")
}

// An Entry says which workloads get an identity.
type Entry struct {
	ID        string
	SPIFFEID  string
	ParentID  string
	Selectors []Selector
	DNSNames  []string
	TTL       time.Duration
}

// Missing returns the selectors of an entry that are not among those.
func (e Entry) Missing(have []Selector) []Selector {
	var missing []Selector
	for _, selector := range e.Selectors {
		if !slices.Contains(have, selector) {
			missing = append(missing, selector)
		}
	}
	return missing
}

// Matches says whether what has these selectors gets the entry's identity.
func (e Entry) Matches(have []Selector) bool {
	return len(e.Selectors) > 0 && len(e.Missing(have)) == 0
}

// An Agent is one that has attested.
type Agent struct {
	ID           string
	Attestation  string
	Expires      time.Time
	Banned       bool
	CanReattest  bool
	SerialNumber string
	Selectors    []Selector
}

// Reach returns the IDs whose entries an agent gets: its own, its aliases, and what is
// registered below these.
func Reach(agent Agent, serverID string, entries []Entry) map[string]bool {
	reach := map[string]bool{agent.ID: true}
	for _, entry := range entries {
		if entry.ParentID == serverID && entry.Matches(agent.Selectors) {
			reach[entry.SPIFFEID] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for _, entry := range entries {
			if reach[entry.ParentID] && !reach[entry.SPIFFEID] {
				reach[entry.SPIFFEID], grown = true, true
			}
		}
	}
	return reach
}

// Aliases returns the names of an agent that entries may have as parent: those of its
// join token's entry, and of node entries that match it.
func Aliases(agent Agent, serverID string, entries []Entry) []string {
	var aliases []string
	itself := Selector{"spiffe_id", agent.ID}
	for _, entry := range entries {
		token := entry.ParentID == agent.ID && slices.Contains(entry.Selectors, itself)
		node := entry.ParentID == serverID && entry.Matches(agent.Selectors)
		if (token || node) && !slices.Contains(aliases, entry.SPIFFEID) {
			aliases = append(aliases, entry.SPIFFEID)
		}
	}
	return aliases
}

// Parent finds the ID that entries for the workloads of the only agent have as parent.
func Parent(agents []Agent, serverID string, entries []Entry) (string, error) {
	switch len(agents) {
	case 0:
		return "", errors.New("no agent has attested yet: let one join, or say which parent the entry has by --parent")
	case 1:
		if aliases := Aliases(agents[0], serverID, entries); len(aliases) > 0 {
			return aliases[0], nil
		}
		return agents[0].ID, nil
	}
	var names []string
	for _, agent := range agents {
		names = append(names, append(Aliases(agent, serverID, entries), agent.ID)[0])
	}
	slices.Sort(names)
	return "", fmt.Errorf("there are %d agents: say on which one the workload runs, by --parent: %s", len(agents), strings.Join(slices.Compact(names), ", "))
}

// Same says whether the server would call the other entry similar to this one: it takes
// only one of them.
func (e Entry) Same(other Entry) bool {
	return e.SPIFFEID == other.SPIFFEID && e.ParentID == other.ParentID &&
		len(e.Missing(other.Selectors)) == 0 && len(other.Missing(e.Selectors)) == 0
}
