package enroll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"

	"github.com/spiffe-experimental/spire-config/internal/agentstate"
	"github.com/spiffe-experimental/spire-config/internal/bundle"
	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/envfile"
	"github.com/spiffe-experimental/spire-config/internal/hcledit"
	"github.com/spiffe-experimental/spire-config/internal/input"
	"github.com/spiffe-experimental/spire-config/internal/invitation"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/probe"
	"github.com/spiffe-experimental/spire-config/internal/serverapi"
	"github.com/spiffe-experimental/spire-config/internal/symptom"
)

// Join is how an agent takes an invitation.
type Join struct {
	// File has the invitation; - is Input.
	File  string
	Input io.Reader
	Start bool
	// Force gives up what the agent was before.
	Force bool
}

// Run configures the agent as the invitation says and, where asked, starts it.
func (j Join) Run(ctx context.Context, m machine.Machine) error {
	invited, err := j.read(m)
	if err != nil {
		return err
	}
	standing, err := stand(m, invited)
	if err != nil {
		return err
	}
	giveUp, err := j.admit(ctx, m, standing, invited)
	if err != nil {
		return err
	}
	plan, err := plan(ctx, m, standing, invited)
	if err != nil {
		return err
	}
	changed, err := m.Apply(plan)
	if err != nil {
		return err
	}
	if !changed {
		m.Say("nothing to change: the configuration is as this invitation wants it")
	}
	if giveUp {
		if err := GiveUp(ctx, m, standing.dataDir); err != nil {
			return err
		}
	}
	return j.finish(ctx, m, standing, invited, changed || giveUp)
}

// More than any invitation, and any slip of the hand, is long.
const limit = 1 << 20

func (j Join) read(m machine.Machine) (invitation.Invitation, error) {
	name := j.File
	if name == "-" {
		name = "standard input"
	}
	in, open, err := input.Open(j.File, j.Input)
	if err != nil {
		return invitation.Invitation{}, fmt.Errorf("reading the invitation: %w", err)
	}
	defer func() { _ = in.Close() }()
	if open != 0 {
		m.Note("warning: %s can be read by others, and holds a join token: chmod 0600 %s", j.File, j.File)
	}
	text, err := io.ReadAll(io.LimitReader(in, limit))
	if err != nil {
		return invitation.Invitation{}, fmt.Errorf("reading the invitation from %s: %w", name, err)
	}
	invited, err := invitation.Parse(text)
	if err != nil {
		return invited, fmt.Errorf("%s: %w", name, err)
	}
	return invited, nil
}

// A standing is what an agent is before it takes an invitation.
type standing struct {
	// dataDir is what the configuration says. Where that is on the disk is decided by
	// the agent's first start.
	dataDir string
	state   agentstate.State
	// attested says that the agent is what the invitation would make of it.
	attested bool
	// conflict is why it cannot become that, unless it gives up what it is.
	conflict error
}

func stand(m machine.Machine, invited invitation.Invitation) (standing, error) {
	file, err := m.AgentConfiguration()
	if err != nil {
		return standing{}, err
	}
	if file == nil {
		return standing{}, fmt.Errorf("%s is not there: install the package spire-agent", m.AgentConfig())
	}
	s := standing{dataDir: file.Value("agent", "data_dir").Text}
	if s.state, err = agentstate.Read(m.AgentState(s.dataDir)); err != nil || s.state.Empty() {
		return s, err
	}
	switch {
	case s.state.TrustDomain() != invited.TrustDomain:
		s.conflict = fmt.Errorf("this agent is attested to another trust domain already: it is %s, and the invitation is to %s", s.who(), invited.TrustDomain)
	case !s.state.Shares(invited.Bundle):
		s.conflict = fmt.Errorf("this agent has state of another server of the trust domain %s, or of one whose CA has changed since: it is %s", invited.TrustDomain, s.who())
	default:
		s.attested = m.Now().Before(s.state.Expires())
	}
	return s, nil
}

func (s standing) who() string {
	if id := s.state.ID(); !id.IsZero() {
		return id.String()
	}
	return "an agent of " + s.state.TrustDomain().Name() + " without an identity"
}

// admit says whether the invitation may be taken, before anything is written, and whether
// the agent gives up what it was.
func (j Join) admit(ctx context.Context, m machine.Machine, s standing, invited invitation.Invitation) (giveUp bool, err error) {
	if s.attested {
		m.Say("already attested as %s: resuming; the join token is not needed", s.state.ID())
		return false, nil
	}
	if err := invited.ValidAt(m.Now()); err != nil {
		return false, err
	}
	server := probe.Server{Address: invited.Address, TrustDomain: invited.TrustDomain, Bundle: invited.Bundle, Now: m.Now()}
	if _, err := probe.Look(ctx, server); err != nil {
		return false, err
	}
	if s.conflict == nil && !s.state.Empty() {
		// It would go by the trust bundle that it has.
		server.Bundle = s.state.Bundle
		if _, err := probe.Look(ctx, server); err != nil {
			s.conflict = fmt.Errorf("this agent is %s and has a trust bundle that is too old for the server", s.who())
		}
	}
	switch {
	case s.conflict == nil:
		return false, nil
	case !j.Force:
		return false, fmt.Errorf("%w: nothing was changed: add --force to give that up (%s is kept beside it as *.before-spire-config)", s.conflict, m.AgentState(s.dataDir))
	}
	return true, MayGiveUp(ctx, m, j.Start)
}

// MayGiveUp says no where an agent that runs would write its state again: it is stopped
// only if it is started afterwards.
func MayGiveUp(ctx context.Context, m machine.Machine, start bool) error {
	if !start && !m.DryRun && m.Active(ctx, layout.AgentUnit) {
		return fmt.Errorf("the agent is running: systemctl stop %s before, or add --start", layout.AgentUnit)
	}
	return nil
}

// GiveUp moves the agent's state away, so that it attests anew.
func GiveUp(ctx context.Context, m machine.Machine, dataDir string) error {
	files := agentstate.Files(m.AgentState(dataDir))
	if m.DryRun {
		m.Say("would move away the agent's state: %v", files)
		return nil
	}
	if m.Active(ctx, layout.AgentUnit) {
		if err := m.Systemd.Do(ctx, "stop", layout.AgentUnit); err != nil {
			return err
		}
	}
	for _, path := range files {
		if err := change.MoveAway(path); err != nil {
			return fmt.Errorf("moving away the agent's state: %w", err)
		}
		m.Say("moved away %s", path)
	}
	return nil
}

// plan is the configuration, the trust bundle, and the token as long as it is needed.
func plan(ctx context.Context, m machine.Machine, s standing, invited invitation.Invitation) (change.Plan, error) {
	text, err := os.ReadFile(m.AgentConfig())
	if err != nil {
		return change.Plan{}, err
	}
	edited, err := edit(m, text, invited)
	if err != nil {
		return change.Plan{}, fmt.Errorf("editing %s: %w", m.AgentConfig(), err)
	}
	env, err := tokenFile(m, func(text []byte) []byte {
		if s.attested {
			return envfile.Remove(text, layout.TokenVariable)
		}
		return envfile.Set(text, layout.TokenVariable, invited.Token)
	})
	if err != nil {
		return change.Plan{}, err
	}
	files := []change.File{
		{Path: m.AgentBootstrap(), Content: bundle.PEM(invited.Bundle), Mode: 0o644},
		{Path: m.AgentConfig(), Content: edited, Mode: 0o644, Mask: maskToken},
	}
	return change.Plan{Files: append(files, env...), Check: m.CheckAgent(ctx)}, nil
}

// tokenFile is the agent's environment with another token, or none. Where nothing is to
// be said and no file is there, none is made.
func tokenFile(m machine.Machine, edit func([]byte) []byte) ([]change.File, error) {
	old, err := os.ReadFile(m.AgentEnv())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	edited := edit(old)
	if err != nil && len(edited) == 0 {
		return nil, nil
	}
	return []change.File{{
		Path: m.AgentEnv(), Content: edited, Mode: 0o600, Private: true,
		// A copy would keep the token.
		NoBackup: true,
		Mask:     func(text []byte) []byte { return envfile.Mask(text, layout.TokenVariable) },
	}}, nil
}

var literalToken = regexp.MustCompile(`(?m)^(\s*join_token\s*=\s*")[^"$]+(")`)

// maskToken hides a token that somebody wrote into the configuration itself.
func maskToken(text []byte) []byte {
	return literalToken.ReplaceAll(text, []byte("${1}<token>${2}"))
}

// Other ways to know the server, which SPIRE takes none of beside the trust bundle.
var contrary = []string{"insecure_bootstrap", "trust_bundle_url", "trust_bundle_unix_socket", "trust_bundle_format", "join_token_file"}

func edit(m machine.Machine, text []byte, invited invitation.Invitation) ([]byte, error) {
	document, err := hcledit.Parse(text)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(invited.Address)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, value := range []struct{ name, value string }{
		{"trust_domain", invited.TrustDomain.Name()},
		{"server_address", host},
		{"server_port", port},
		{"trust_bundle_path", m.AgentBootstrap()},
		{"join_token", "${" + layout.TokenVariable + "}"},
	} {
		errs = append(errs, document.Set(value.value, "agent", value.name))
	}
	for _, name := range contrary {
		errs = append(errs, document.Remove("agent", name))
	}
	return document.Bytes(), errors.Join(errs...)
}

// finish starts the agent where that is asked for, and takes the token away.
func (j Join) finish(ctx context.Context, m machine.Machine, s standing, invited invitation.Invitation, changed bool) error {
	switch {
	case m.DryRun && j.Start:
		m.Say("would enable and start %s, and take the token out of %s", layout.AgentUnit, m.AgentEnv())
		return nil
	case m.DryRun:
		return nil
	case !j.Start && s.attested:
		return nil
	case !j.Start:
		m.Say("next: systemctl enable --now spire-agent (before %s), then this command again, which takes the token out of %s", invited.Expires.UTC().Format("15:04:05 MST"), m.AgentEnv())
		return nil
	}
	if changed || !m.Running(ctx, layout.AgentUnit) || serverapi.Healthy(ctx, m.AgentSocketPath()) != nil {
		if err := m.Start(ctx, layout.AgentUnit); err != nil {
			return Failed(ctx, m, err)
		}
	}
	if err := serverapi.Healthy(ctx, m.AgentSocketPath()); err != nil {
		return Failed(ctx, m, err)
	}
	return joined(m, invited)
}

// Failed has the journal's reason in the place of systemd's, which has none.
func Failed(ctx context.Context, m machine.Machine, err error) error {
	lines, journalErr := m.Systemd.Journal(ctx, layout.AgentUnit, 50)
	if journalErr == nil {
		if why := symptom.Explain(lines); len(why) > 0 {
			return fmt.Errorf("the agent does not start: %s: %s", why[0].Cause, why[0].Mend)
		}
	}
	return fmt.Errorf("the agent does not start: %w: spire-config doctor says why", err)
}

func joined(m machine.Machine, invited invitation.Invitation) error {
	env, err := tokenFile(m, func(text []byte) []byte { return envfile.Remove(text, layout.TokenVariable) })
	if err != nil {
		return err
	}
	pending, err := change.Plan{Files: env}.Pending()
	if err != nil {
		return err
	}
	if err := pending.Apply(); err != nil {
		return fmt.Errorf("taking the used join token away: %w", err)
	}
	// Not its SPIFFE ID, which has the token in it.
	m.Say("%s runs, and has attested to the trust domain %s", layout.AgentUnit, invited.TrustDomain)
	m.Say("the parent of its workloads' entries is %s", invited.Alias)
	return nil
}
