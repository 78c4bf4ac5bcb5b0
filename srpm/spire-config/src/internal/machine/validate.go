package machine

import (
	"context"

	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/spire"
)

// CheckServer asks spire-server whether its configuration is valid, before that is in its
// place: it is for the Check of a plan.
func (m Machine) CheckServer(ctx context.Context) func(func(string) string) error {
	return func(temporary func(string) string) error {
		env, err := config.Env(temporary(m.ServerEnv()))
		if err != nil {
			return err
		}
		return spire.Server.Validate(ctx, temporary(m.ServerConfig()), env)
	}
}

// CheckAgent asks spire-agent in the same way.
func (m Machine) CheckAgent(ctx context.Context) func(func(string) string) error {
	return func(temporary func(string) string) error {
		env, err := config.Env(temporary(m.AgentEnv()))
		if err != nil {
			return err
		}
		var more []string
		if bundle := temporary(m.AgentBootstrap()); bundle != m.AgentBootstrap() {
			// Some versions read it, and it is not in its place yet.
			more = []string{"-trustBundle", bundle}
		}
		return spire.Agent.Validate(ctx, temporary(m.AgentConfig()), env, more...)
	}
}
