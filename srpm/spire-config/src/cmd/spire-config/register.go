package main

import (
	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/entry"
	"github.com/spiffe-experimental/spire-config/internal/helper"
	"github.com/spiffe-experimental/spire-config/internal/workload"
)

func entryCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "entry",
		Short: "Register workloads, on the server's machine",
		Long:  "Keeps the registration entries of the server of this machine: who gets which identity.",
	}
	command.AddCommand(o.changes(entryAddCommand(o)))
	return command
}

func entryAddCommand(o *options) *cobra.Command {
	var asked entry.Add
	command := &cobra.Command{
		Use:   "add NAME",
		Short: "Give programs the identity NAME",
		Long: `Registers spiffe://TRUST-DOMAIN/NAME for the programs of a user, a group or a systemd
unit, or for whatever a selector says. Where several are given, all of them must fit.

The parent is the agent on whose machine they run. Where the server has one agent only,
it is that.`,
		Example: `  spire-config entry add web --user www-data
  spire-config entry add db --service postgresql.service --parent db1 --dns db.example.org`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.Name = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.StringVar(&asked.User, "user", "", "programs of this `USER` (selector unix:user)")
	flags.StringVar(&asked.Group, "group", "", "programs whose group is this `GROUP` (selector unix:group)")
	flags.StringVar(&asked.Service, "service", "", "programs of this systemd `UNIT`, such as nginx.service (selector systemd:id)")
	flags.StringVar(&asked.Container, "container", "", "containers of this `IMAGE`, as docker ps or podman ps show it (selector docker:image_id)")
	flags.StringArrayVar(&asked.Selectors, "selector", nil, "programs with this selector, `TYPE:VALUE`; may be given several times")
	flags.StringVar(&asked.Parent, "parent", "", "the `AGENT`: its SPIFFE ID, or the NAME that it was invited by (default: the only agent)")
	flags.StringArrayVar(&asked.DNSNames, "dns", nil, "a DNS `NAME` to put into the certificate; may be given several times")
	flags.DurationVar(&asked.TTL, "ttl", 0, "the `DURATION` for which a certificate is valid (default: the server's default_x509_svid_ttl)")
	return command
}

func helperCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "helper",
		Short: "Keep identities in files, by spiffe-helper",
		Long:  "Sets up instances of spiffe-helper, which keep an identity in files for programs that read files only.",
	}
	command.AddCommand(o.changes(helperAddCommand(o)))
	return command
}

func helperAddCommand(o *options) *cobra.Command {
	var asked helper.Add
	command := &cobra.Command{
		Use:   "add NAME",
		Short: "Set up an instance of spiffe-helper",
		Long: `Writes /etc/spiffe/helper/NAME.conf for spiffe-helper@NAME.service, which keeps
certificate, key and trust bundle in /var/lib/spiffe-helper/NAME. A configuration that is
there keeps its other lines.

With --user or --group it also writes a drop-in for the unit.`,
		Example: "  spire-config helper add postgresql --user postgres --start",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.Name = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.StringVar(&asked.User, "user", "", "the `USER` whose the files are, and whom the agent knows the instance by (default: spiffe-helper)")
	flags.StringVar(&asked.Group, "group", "", "a `GROUP` that may read the files, the key too")
	flags.BoolVar(&asked.Start, "start", false, "enable and start the instance, and wait until its files are there")
	return command
}

// workloadCommand is not for people: it runs as another user.
func workloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:    workload.Command + " SOCKET",
		Short:  "Ask the Workload API as the user who runs this",
		Long:   "Asks the Workload API as the user who runs this, and writes the answer as JSON.",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			return workload.Write(command.Context(), arguments[0], command.OutOrStdout())
		},
	}
}
