// spire-config sets up SPIRE servers and agents on plain machines, brings them together,
// and says why something does not work.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/machine"
	"github.com/spiffe-experimental/spire-config/internal/systemd"
)

// version is set when the program is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := exit(ctx, root(), os.Args[1:])
	stop()
	os.Exit(code)
}

// A status is an exit status other than that of an error; all words are said already.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// exit runs a command and returns the exit status.
func exit(ctx context.Context, command *cobra.Command, arguments []string) int {
	command.SetArgs(arguments)
	err := command.ExecuteContext(ctx)
	var code status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(command.ErrOrStderr(), "spire-config: %v\n", err)
	return 1
}

// options are those of several commands.
type options struct {
	root   string
	dryRun bool
}

func (o *options) machine(command *cobra.Command) machine.Machine {
	return machine.Machine{
		Root:    layout.Root(o.root),
		Systemd: systemd.Local{},
		Now:     time.Now,
		Out:     command.OutOrStdout(),
		Notes:   command.ErrOrStderr(),
		DryRun:  o.dryRun,
	}
}

// changes gives a command that changes something the flag to only show it.
func (o *options) changes(command *cobra.Command) *cobra.Command {
	command.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would change, as a unified diff, and change nothing")
	return command
}

func root() *cobra.Command {
	o := &options{}
	command := &cobra.Command{
		Use:   "spire-config",
		Short: "Set up and look after SPIRE on plain machines",
		Long: `Sets up SPIRE servers and agents that were installed as packages, brings agents to
their server by invitations, registers workloads, and says why something does not
work.

Configurations are edited as an admin would: comments and order stay, the result is
validated before it takes the place of the former, and that one is kept as
*.before-spire-config. Nothing is started or enabled unless --start says so.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	command.SetVersionTemplate("{{.Version}}\n")
	command.CompletionOptions.DisableDefaultCmd = true
	command.SetHelpCommand(&cobra.Command{Use: "no-help", Hidden: true})
	command.PersistentFlags().StringVar(&o.root, "root", os.Getenv("SPIRE_CONFIG_ROOT"), "a folder that stands for /, for tests")
	if err := command.PersistentFlags().MarkHidden("root"); err != nil {
		panic(err)
	}
	command.AddCommand(serverCommand(o), inviteCommand(o), agentCommand(o), entryCommand(o), helperCommand(o),
		checkCommand(o), doctorCommand(o), statusCommand(o), upgradeCommand(o), workloadCommand())
	return command
}
