package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/sandbox"
	"github.com/spiffe-experimental/spire-config/internal/spire"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// CheckServer asks spire-server whether its configuration is valid, before that is in its
// place: it is for the Check of a plan.
func (m Machine) CheckServer(ctx context.Context) func(change.Staged) error {
	return func(staged change.Staged) error {
		return m.validate(ctx, candidate{
			program: spire.Server, unit: layout.ServerUnit, staged: staged,
			config: staged.At(m.ServerConfig()), env: staged.At(m.ServerEnv()),
		})
	}
}

// CheckAgent asks spire-agent in the same way.
func (m Machine) CheckAgent(ctx context.Context) func(change.Staged) error {
	return func(staged change.Staged) error {
		asked := candidate{
			program: spire.Agent, unit: layout.AgentUnit, staged: staged,
			config: staged.At(m.AgentConfig()), env: staged.At(m.AgentEnv()),
		}
		if bundle := staged.At(m.AgentBootstrap()); bundle != m.AgentBootstrap() {
			// Some versions read it, and it is not in its place yet.
			asked.options = []string{"-trustBundle", bundle}
		}
		return m.validate(ctx, asked)
	}
}

// A candidate is a configuration that may take the place of a service's.
type candidate struct {
	program     spire.Program
	unit        string
	config, env string
	options     []string
	staged      change.Staged
}

// validate lets the program read a configuration where its service would, in the unit's
// sandbox, and looks there for the files that it names. Where systemd does not run, such
// as where an image is built, the service's user has to do.
func (m Machine) validate(ctx context.Context, c candidate) error {
	env, err := config.Env(m.Envs(c.env)...)
	if err != nil {
		return err
	}
	within, err := sandbox.Of(ctx, m.Root, m.Systemd, c.unit, c.staged)
	if errors.Is(err, systemd.ErrAbsent) {
		return c.program.Validate(ctx, c.config, env, c.options...)
	}
	if err != nil {
		return fmt.Errorf("validating the configuration in the sandbox of %s: %w", c.unit, err)
	}
	validate, err := c.program.Validation(c.config, c.options...)
	if err != nil {
		return err
	}
	return c.explained(within.Run(ctx, c.staged, look(c.reads(env)), validate))
}

// reads are the files that the configuration names, and that are there. Of others it is
// for spire-config check to say that they are missing.
func (c candidate) reads(env map[string]string) []string {
	file, err := config.Read(c.config, env)
	if err != nil {
		// The program says why.
		return nil
	}
	var paths []string
	for _, value := range file.Files() {
		path := c.staged.At(value.Text)
		_, err := os.Stat(path)
		if err == nil || strings.HasPrefix(path, config.Credentials+"/") {
			paths = append(paths, path)
		}
	}
	return paths
}

// hidden begins what look says of a file.
const hidden = "the service cannot read "

// look is a command that fails at the first of the files that it can neither read nor run.
// The shell is there in every sandbox, which the units reload their services by.
func look(paths []string) []string {
	const script = `for file; do [ -r "$file" ] || [ -x "$file" ] || { echo "` + hidden + `$file"; exit 1; }; done`
	return append([]string{"/bin/sh", "-c", script, "look"}, paths...)
}

// explained says in one line what the sandbox refused.
func (c candidate) explained(err error) error {
	var refusal sandbox.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	words := strings.Join(refusal.Words, "\n")
	path, isHidden := strings.CutPrefix(strings.TrimSpace(words), hidden)
	switch {
	case isHidden:
		return fmt.Errorf("%s cannot read %s, so nothing was changed: its sandbox hides it, or its mode or that of a folder above closes it: put it into /etc/spire", c.unit, path)
	case refusal.Started && words != "":
		return c.program.Refused(words, refusal.Err)
	case words == "":
		words = refusal.Err.Error()
	}
	return fmt.Errorf("%s could not start with this, so nothing was changed: %s", c.unit, words)
}
