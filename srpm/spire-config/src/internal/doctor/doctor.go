// Package doctor finds out why SPIRE does not work on a machine, and which command mends
// it.
package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// A Finding is something that does not work.
type Finding struct {
	// Where is a unit, a file, an address.
	Where string `json:"where"`
	What  string `json:"what"`
	Why   string `json:"why"`
	// Mend is a command, or where there is none what to do.
	Mend string `json:"mend"`
}

// A Report is all that was found.
type Report struct {
	Healthy  bool      `json:"healthy"`
	Findings []Finding `json:"findings"`
	// Well is what was looked at and works.
	Well []string `json:"well"`
	// Identities are those that the user asked about gets.
	Identities []string `json:"identities,omitempty"`
}

// ErrBlind is where nothing could be looked at.
var ErrBlind = errors.New("cannot look")

// An examination is one of a machine.
type examination struct {
	machine.Machine
	context  context.Context
	services []service
	report   *Report
}

// A service is one of SPIRE's that is installed.
type service struct {
	name, unit, config string
	file               *config.File
	socket             string
	// active says that systemd calls it active.
	active bool
}

// Examine looks at the services of a machine and, where a user is named, at what that one
// gets from the agent.
func Examine(ctx context.Context, m machine.Machine, as string) (Report, error) {
	if os.Geteuid() != 0 {
		return Report{}, fmt.Errorf("%w: state, journal and secrets are root's: run it as root", ErrBlind)
	}
	e := &examination{Machine: m, context: ctx, report: &Report{Findings: []Finding{}, Well: []string{}}}
	e.install()
	if len(e.services) == 0 {
		return Report{}, fmt.Errorf("%w: neither spire-server nor spire-agent is installed here", ErrBlind)
	}
	for i := range e.services {
		e.unit(&e.services[i])
	}
	for _, look := range []func(){e.sockets, e.database, e.server, e.identity, e.disk, e.configurations, e.journals} {
		look()
	}
	if as != "" {
		e.user(as)
	}
	e.report.Healthy = len(e.report.Findings) == 0
	return *e.report, nil
}

func (e *examination) found(where, what, why, mend string) {
	finding := Finding{where, what, why, mend}
	if !slices.Contains(e.report.Findings, finding) {
		e.report.Findings = append(e.report.Findings, finding)
	}
}

func (e *examination) well(format string, arguments ...any) {
	if words := fmt.Sprintf(format, arguments...); !slices.Contains(e.report.Well, words) {
		e.report.Well = append(e.report.Well, words)
	}
}

// install finds out which services are there. A configuration that cannot be read is
// found by others.
func (e *examination) install() {
	for _, s := range []service{
		{name: "server", unit: layout.ServerUnit, config: e.ServerConfig(), socket: e.ServerSocketPath()},
		{name: "agent", unit: layout.AgentUnit, config: e.AgentConfig(), socket: e.AgentSocketPath()},
	} {
		if _, err := os.Stat(s.config); err != nil {
			continue
		}
		if s.name == "server" {
			s.file, _ = e.ServerConfiguration()
		} else {
			s.file, _ = e.AgentConfiguration()
		}
		e.services = append(e.services, s)
	}
	// Installed along with an agent that is set up, and never meant to run.
	if len(e.services) == 2 && e.services[0].pristine() && !e.services[1].pristine() {
		e.services = e.services[1:]
	}
}

// pristine says that nobody has set the service up.
func (s service) pristine() bool {
	return s.file != nil && s.file.Value(s.name, "trust_domain").Text == "example.org"
}

// agent is the service of the agent, if it is here and its configuration can be read.
func (e *examination) agent() (service, bool) {
	at := slices.IndexFunc(e.services, func(s service) bool { return s.name == "agent" && s.file != nil })
	if at < 0 {
		return service{}, false
	}
	return e.services[at], true
}

// Write writes a report for people.
func (r Report) Write(out io.Writer) {
	for _, finding := range r.Findings {
		fmt.Fprintf(out, "%s: %s\n  why:  %s\n  mend: %s\n", finding.Where, finding.What, finding.Why, finding.Mend)
	}
	for _, words := range r.Well {
		fmt.Fprintf(out, "well: %s\n", words)
	}
	switch len(r.Findings) {
	case 0:
		fmt.Fprintln(out, "healthy")
	case 1:
		fmt.Fprintln(out, "1 finding")
	default:
		fmt.Fprintf(out, "%d findings\n", len(r.Findings))
	}
}

// JSON writes a report for programs.
func (r Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", "  ") }
