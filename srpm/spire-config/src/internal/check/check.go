// Package check looks at configurations for what SPIRE's own validate does not see: what
// the unit, its user and its sandbox make of them.
package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/account"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
)

// How bad a finding is: an error does not work, a warning may be meant.
const (
	Error   = "error"
	Warning = "warning"
)

// A Finding is something in a file that is not as it should be.
type Finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Severity string `json:"severity"`
	Words    string `json:"words"`
	// Mend is what to do.
	Mend string `json:"mend"`
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s", f.File, f.Line, f.Severity, f.Words, f.Mend)
}

// A subject is a configuration with what is around it.
type subject struct {
	machine.Machine
	*config.File
	// block is the one that has the program's own values: server or agent.
	block   string
	unit    string
	env     string
	envVars map[string]string
	dropIns string
	// user is whom the service runs as; nil where the package did not make it.
	user *account.User
	// attested says that the agent has an identity, and needs no token.
	attested bool
	context  context.Context
}

// Files looks at those files, or at all that are there.
func Files(ctx context.Context, m machine.Machine, files []string) ([]Finding, error) {
	whole := len(files) == 0
	if whole {
		files = present(m)
	}
	if len(files) == 0 {
		return nil, errors.New("no configuration of SPIRE on this machine: install the package spire-server or spire-agent")
	}
	var all []Finding
	for _, file := range files {
		found, err := one(ctx, m, file)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if whole {
		all = append(all, together(m)...)
	}
	return all, nil
}

// present are the configurations of the documented units, and of helpers.
func present(m machine.Machine) []string {
	var files []string
	for _, path := range []string{m.ServerConfig(), m.AgentConfig()} {
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
		}
	}
	// A pattern that is right does not fail.
	helpers, _ := filepath.Glob(filepath.Join(m.HelperConfigs(), "*.conf"))
	return append(files, helpers...)
}

// one looks at a file by all rules.
func one(ctx context.Context, m machine.Machine, path string) ([]Finding, error) {
	s, err := read(ctx, m, path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, err
	case err != nil:
		return []Finding{{path, lineOf(err), Error, strings.ReplaceAll(err.Error(), "\n", " "), "mend the line"}}, nil
	}
	var all []Finding
	for _, rule := range rules {
		all = append(all, rule(s)...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return all, nil
}

var position = regexp.MustCompile(`(?:At |at |line )(\d+)`)

func lineOf(err error) int {
	if found := position.FindStringSubmatch(err.Error()); found != nil {
		if line, err := strconv.Atoi(found[1]); err == nil {
			return line
		}
	}
	return 1
}

func read(ctx context.Context, m machine.Machine, path string) (subject, error) {
	s := subject{Machine: m, context: ctx}
	raw, err := config.Read(path, nil)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		// A value that only its variable makes HCL.
		raw, err = s.withVariables(path)
	}
	if err != nil {
		return s, err
	}
	s.place(raw, path)
	if s.envVars, err = config.Env(s.Envs(s.env)...); err != nil && !errors.Is(err, fs.ErrPermission) {
		return s, err
	}
	if s.File, err = config.Read(path, s.envVars); err != nil {
		return s, err
	}
	s.surroundings()
	return s, nil
}

func (s *subject) withVariables(path string) (*config.File, error) {
	env, err := config.Env(s.Envs(strings.TrimSuffix(path, filepath.Ext(path)) + ".env")...)
	if err != nil {
		return nil, err
	}
	return config.Read(path, env)
}

// place finds out whose configuration it is.
func (s *subject) place(file *config.File, path string) {
	folder := filepath.Dir(path)
	switch {
	case file.Has("server"):
		s.block, s.unit, s.env = "server", layout.ServerUnit, filepath.Join(folder, "server.env")
	case file.Has("agent"):
		s.block, s.unit, s.env = "agent", layout.AgentUnit, filepath.Join(folder, "agent.env")
	case file.Has("agent_address"):
		s.unit = layout.HelperUnit(strings.TrimSuffix(filepath.Base(path), ".conf"))
	}
}

func (s *subject) surroundings() {
	s.dropIns = s.DropInText(s.unit)
	name := map[string]string{"server": layout.ServerUser, "agent": layout.AgentUser}[s.block]
	if user, err := account.Lookup(name); err == nil && name != "" {
		user.Supplementary = append(user.Supplementary, granted(s.dropIns)...)
		s.user = &user
	}
	if s.block == "agent" {
		state, err := s.AgentIdentity()
		s.attested = err == nil && s.Now().Before(state.Expires())
	}
}

var supplementary = regexp.MustCompile(`(?m)^\s*SupplementaryGroups=(.*)$`)

// granted are the groups that drop-ins give a service beside its user's.
func granted(dropIns string) []account.Group {
	var groups []account.Group
	for _, line := range supplementary.FindAllStringSubmatch(dropIns, -1) {
		for _, name := range strings.Fields(line[1]) {
			// Without it the unit does not start, which systemd says.
			if group, err := account.LookupGroup(name); err == nil {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

func (s subject) found(line int, severity, mend, words string, arguments ...any) Finding {
	return Finding{s.Path, line, severity, fmt.Sprintf(words, arguments...), mend}
}

// JSON writes findings for other programs.
func JSON(findings []Finding) ([]byte, error) {
	return json.MarshalIndent(struct {
		Findings []Finding `json:"findings"`
		Errors   int       `json:"errors"`
		Warnings int       `json:"warnings"`
	}{append([]Finding{}, findings...), Count(findings, Error), Count(findings, Warning)}, "", "  ")
}

// Count is how many findings are of that severity.
func Count(findings []Finding, severity string) int {
	count := 0
	for _, finding := range findings {
		if finding.Severity == severity {
			count++
		}
	}
	return count
}
