// Package upgrade says whether the SPIRE of a machine may go to another version now.
package upgrade

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/release"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// Check is what is asked.
type Check struct {
	// To is the version to go to.
	To string
	// Server is the version of the agent's server, where that is elsewhere.
	Server string
}

// ErrRefused is where the answer is no; it has been said why.
var ErrRefused = errors.New("not now")

// Run says whether each program that is installed may go there.
func (c Check) Run(ctx context.Context, m machine.Machine) error {
	to, err := release.Parse(c.To)
	if err != nil {
		return err
	}
	server, hasServer := installed(ctx, spire.Server)
	agent, hasAgent := installed(ctx, spire.Agent)
	var answers []error
	switch {
	case hasServer:
		answers = append(answers, say(m, fmt.Sprintf("spire-server %s to %s", server, to), release.Server(server, to)))
		if hasAgent {
			// Between the two upgrades the agent is of the old version.
			answers = append(answers, say(m, fmt.Sprintf("spire-agent %s with it, until it follows", agent), release.Agent(agent, to)))
		}
	case hasAgent && c.Server == "":
		return errors.New("the agent's server is elsewhere: say which version it runs, by --server (spire-server --version there)")
	case hasAgent:
		running, err := release.Parse(c.Server)
		if err != nil {
			return err
		}
		answers = append(answers, say(m, fmt.Sprintf("spire-agent %s to %s", agent, to), release.Agent(to, running)))
	default:
		return errors.New("neither spire-server nor spire-agent is installed here")
	}
	return errors.Join(answers...)
}

func installed(ctx context.Context, program spire.Program) (release.Version, bool) {
	version, err := release.Parse(program.Version(ctx))
	return version, err == nil
}

func say(m machine.Machine, what string, no error) error {
	if no != nil {
		m.Say("%s: no: %v", what, no)
		return ErrRefused
	}
	m.Say("%s: yes", what)
	return nil
}
