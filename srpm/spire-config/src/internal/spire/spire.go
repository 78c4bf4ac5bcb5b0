// Package spire runs the programs of SPIRE: as the services run them, to ask whether a
// configuration is valid, and which version is installed.
package spire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/account"
)

// A Program is one of SPIRE's, with the user that its service runs as.
type Program struct{ Name, User string }

// The programs that read a configuration.
var (
	Server = Program{"spire-server", "spire-server"}
	Agent  = Program{"spire-agent", "spire-agent"}
)

// Validation is the command that asks the program whether a configuration is valid, for
// where others run it.
func (p Program) Validation(config string, more ...string) ([]string, error) {
	path, err := exec.LookPath(p.Name)
	if err != nil {
		return nil, p.Refused("", err)
	}
	return append([]string{path}, validation(config, more)...), nil
}

func validation(config string, more []string) []string {
	return append([]string{"validate", "-config", config, "-expandEnv"}, more...)
}

// Validate asks the program whether a configuration is valid, as the user that its
// service runs as, and with the same variables.
func (p Program) Validate(ctx context.Context, config string, env map[string]string, more ...string) error {
	command := p.command(ctx, validation(config, more)...)
	for name, value := range env {
		command.Env = append(command.Env, name+"="+value)
	}
	if err := p.become(command); err != nil {
		return err
	}
	var words bytes.Buffer
	command.Stdout, command.Stderr = &words, &words
	if err := command.Run(); err != nil {
		return p.Refused(words.String(), err)
	}
	return nil
}

// Refused is the error of a configuration about which the program has said these words.
func (p Program) Refused(words string, err error) error {
	return fmt.Errorf("%s validate refuses the configuration, so nothing was changed: %s", p.Name, said(words, err))
}

func (p Program) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, p.Name, arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	command.Dir = "/"
	return command
}

// become lets root run the program as the service's user: what that one cannot read is
// found here, and a log_file that is opened does not end up as root's.
func (p Program) become(command *exec.Cmd) error {
	if os.Geteuid() != 0 {
		return nil
	}
	user, err := account.Lookup(p.User)
	if err != nil {
		// A machine where the package did not make it, such as a test's.
		return nil
	}
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.UID, Gid: user.GID, Groups: user.GIDs()}}
	return nil
}

// said are the words of a program that say most.
func said(words string, err error) string {
	if errors.Is(err, exec.ErrNotFound) {
		return "it is not installed"
	}
	lines := strings.Split(strings.TrimSpace(words), "\n")
	for i, line := range lines {
		if strings.Contains(strings.ToLower(line), "error") || strings.Contains(line, "nvalid") {
			return whole(lines[i:])
		}
	}
	return strings.TrimSpace(lines[len(lines)-1] + " (" + err.Error() + ")")
}

// whole is a line, with those after it that it announces.
func whole(lines []string) string {
	text := strings.TrimSpace(lines[0])
	for _, line := range lines[1:] {
		if !strings.HasSuffix(text, ":") && !strings.HasSuffix(text, "is invalid.") {
			break
		}
		text += " " + strings.TrimSpace(line)
	}
	return text
}

// Version is the installed version, or "" where there is none.
func (p Program) Version(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// SPIRE writes it to the standard error.
	out, err := p.command(ctx, "--version").CombinedOutput()
	if err != nil {
		return ""
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return version
}
