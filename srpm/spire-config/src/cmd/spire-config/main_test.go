package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/golden"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

// ran runs the program as a shell would.
func ran(t *testing.T, arguments ...string) (out, words string, code int) {
	t.Helper()
	command := root()
	var stdout, stderr bytes.Buffer
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	command.SetIn(strings.NewReader(""))
	code = exit(t.Context(), command, arguments)
	return stdout.String(), stderr.String(), code
}

func TestVersionAlone(t *testing.T) {
	if out, words, code := ran(t, "--version"); out != "dev\n" || words != "" || code != 0 {
		t.Errorf("%q, %q, %d", out, words, code)
	}
}

// TestHelp has the words of every command in one file: man page and completion are made
// of them.
func TestHelp(t *testing.T) {
	var all strings.Builder
	var visit func(*cobra.Command)
	visit = func(command *cobra.Command) {
		if command.Hidden {
			return
		}
		arguments := slices.Concat(strings.Fields(command.CommandPath())[1:], []string{"--help"})
		out, _, code := ran(t, arguments...)
		if code != 0 {
			t.Errorf("%v: exit status %d", arguments, code)
		}
		if command.Short == "" || command.Long == "" || strings.HasSuffix(command.Short, ".") {
			t.Errorf("%s: a Short without a full stop, and a Long, are wanted", command.CommandPath())
		}
		all.WriteString("$ spire-config " + strings.Join(arguments, " ") + "\n" + out + "\n")
		for _, inner := range command.Commands() {
			visit(inner)
		}
	}
	visit(root())
	golden.Check(t, "testdata/help.txt", all.String())
}

func TestExitStatus(t *testing.T) {
	bed := testbed.New(t)
	sound := testbed.New(t)
	for _, path := range []string{sound.ServerConfig(), sound.AgentConfig()} {
		sound.Replace(path, `"example.org"`, `"prod.test"`)
	}
	sound.Write(sound.AgentEnv(), 0o600, "SPIRE_JOIN_TOKEN=x\n")
	sound.Write(sound.AgentBootstrap(), 0o644, "")
	sound.Replace(sound.AgentConfig(), "log_level", "insecure_bootstrap = true\nlog_level")
	for name, test := range map[string]struct {
		arguments []string
		code      int
		out, err  string
	}{
		"errors found":          {[]string{"check", "--root", string(bed.Root)}, 1, `agent\.conf:37: error: the join token`, `^$`},
		"warnings only":         {[]string{"check", "--root", string(sound.Root), sound.AgentConfig()}, 0, `warning: insecure_bootstrap`, `^$`},
		"as JSON":               {[]string{"check", "--json", "--root", string(bed.Root)}, 1, `"errors": 2`, `^$`},
		"nothing to look at":    {[]string{"doctor", "--root", t.TempDir()}, 2, `^$`, `^spire-config: cannot look: .*\n$`},
		"no such command":       {[]string{"x"}, 1, `^$`, `^spire-config: unknown command "x" for "spire-config"`},
		"a flag is missing":     {[]string{"server", "init"}, 1, `^$`, `^spire-config: required flag\(s\) "trust-domain" not set\n$`},
		"an invitation of none": {[]string{"agent", "join", "-", "--root", string(bed.Root)}, 1, `^$`, `^spire-config: standard input: it is no invitation: make one with spire-config invite on the server\n$`},
		"no such file":          {[]string{"check", "/nowhere", "--root", string(bed.Root)}, 1, `^$`, `^spire-config: open /nowhere: no such file or directory\n$`},
		"status of a machine":   {[]string{"status", "--root", string(bed.Root)}, 0, `trust domain  example\.org`, `^$`},
	} {
		t.Run(name, func(t *testing.T) {
			out, words, code := ran(t, test.arguments...)
			if code != test.code || !regexp.MustCompile(test.out).MatchString(out) || !regexp.MustCompile(test.err).MatchString(words) {
				t.Errorf("exit status %d, %q, %q", code, out, words)
			}
		})
	}
}
