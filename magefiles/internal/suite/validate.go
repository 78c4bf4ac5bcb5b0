package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// validator says how a command is asked whether it accepts a configuration.
type validator struct {
	prefix string // of the configuration's file name
	binary string
	ask    func(context.Context, run.Command) error
}

var validators = []validator{
	{"server", "spire-server", validates},
	{"agent", "spire-agent", validates},
	{"oidc-discovery-provider", "oidc-discovery-provider", starts},
}

// validatorOf finds the command that a configuration is for, by its name.
func validatorOf(file string) (validator, bool) {
	for _, v := range validators {
		if strings.HasPrefix(filepath.Base(file), v.prefix) {
			return v, true
		}
	}
	return validator{}, false
}

// validate has the built command read one configuration, with the variables
// of the environment file beside it, as systemd would give them.
func (b built) validate(ctx context.Context, file string) error {
	v, ok := validatorOf(file)
	if !ok {
		return fmt.Errorf("no command reads %s", file)
	}
	env, err := exampleEnv(filepath.Dir(file))
	if err != nil {
		return err
	}
	return v.ask(ctx, run.Command{Name: b.binary(v.binary), Args: []string{"-config", file, "-expandEnv"}, Env: env, Dir: os.TempDir()})
}

func (b built) binary(name string) string {
	return b.work(runtime.GOARCH, "bin", name)
}

// validates asks `validate`, which servers and agents have.
func validates(ctx context.Context, command run.Command) error {
	command.Args = append([]string{"validate"}, command.Args...)
	out, err := command.Combined(ctx)
	if err != nil {
		return fmt.Errorf("%w%s", err, indented(out))
	}
	if !strings.Contains(out, "configuration file is valid") {
		return fmt.Errorf("it said neither yes nor no:%s", indented(out))
	}
	return nil
}

// starting is how long the OIDC provider, which has no way to only check, may
// run: it serves, or has ended, within milliseconds.
const starting = time.Second

// starts runs the OIDC provider, with its socket moved aside and, where this
// user may, without a network, until it says that it serves.
func starts(ctx context.Context, command run.Command) error {
	dir, err := os.MkdirTemp("", "spire-packages-oidc-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "config")
	content, err := os.ReadFile(command.Args[1])
	if err != nil {
		return err
	}
	aside := strings.ReplaceAll(string(content), "/run/spire/oidc-discovery-provider/", dir+"/")
	if err := os.WriteFile(file, []byte(aside), 0o644); err != nil {
		return err
	}
	command.Args[1] = file
	if os.Geteuid() == 0 {
		command.Args = append([]string{"--net", command.Name}, command.Args...)
		command.Name = "unshare"
	}
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	out, err := command.Combined(ctx)
	// Who may not bind port 443 gets the second answer to a good file.
	if strings.Contains(out, "Serving HTTP") || strings.Contains(out, "failed to create an ACME listener") {
		return nil
	}
	return errors.Join(errors.New("it did not serve:"+indented(out)), err)
}

// exampleEnv reads the *.env.example files of a folder in the form of
// systemd's EnvironmentFile.
func exampleEnv(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.env.example"))
	if err != nil {
		return nil, err
	}
	env := []string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for scanner := bufio.NewScanner(bytes.NewReader(content)); scanner.Scan(); {
			if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
				env = append(env, line)
			}
		}
	}
	return env, nil
}
