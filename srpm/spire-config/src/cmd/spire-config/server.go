package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/backup"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/upgrade"
)

func serverCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "server",
		Short: "Set up the SPIRE server of this machine",
		Long:  "Sets up the SPIRE server of this machine, spire-server.service.",
	}
	command.AddCommand(o.changes(serverInitCommand(o)), o.changes(serverBackupCommand(o)), o.changes(serverRestoreCommand(o)), serverAttestorCommand(o))
	return command
}

func serverInitCommand(o *options) *cobra.Command {
	var asked setup.Server
	command := &cobra.Command{
		Use:   "init",
		Short: "Configure the server of a new trust domain",
		Long: `Writes trust domain, address and port into /etc/spire/server/server.conf, whose other
lines stay as they are, and validates it as the service would read it.

A server that has keys and entries of a trust domain already keeps it: another name is
refused.`,
		Example: "  spire-config server init --trust-domain example.org --address spire.example.org --start",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.StringVar(&asked.TrustDomain, "trust-domain", "", "the `NAME` of the trust domain, with which all SPIFFE IDs begin")
	flags.StringVar(&asked.Address, "address", "", "the `HOST` where agents connect: a name, an address of this machine, or 0.0.0.0 (default: as configured)")
	flags.IntVar(&asked.Port, "port", 0, "the `PORT` where agents connect (default: as configured)")
	flags.BoolVar(&asked.Start, "start", false, "enable and start the server, and wait until it answers")
	required(command, "trust-domain")
	return command
}

func required(command *cobra.Command, flag string) {
	if err := command.MarkFlagRequired(flag); err != nil {
		panic(err)
	}
}

func serverBackupCommand(o *options) *cobra.Command {
	var asked backup.Backup
	command := &cobra.Command{
		Use:   "backup FILE",
		Short: "Keep the server's configuration, keys and datastore in a file",
		Long: `Writes a tar archive, mode 0600, of /etc/spire/server, the drop-ins of
spire-server.service, and the server's state: the CA's private keys and the SQLite datastore.
Another database is not in it: back that up by its own means.

The server must not run meanwhile; --stop stops it for these seconds. Agents and workloads
go on with the identities that they have.`,
		Example: "  spire-config server backup /root/spire.backup --stop",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.File = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	command.Flags().BoolVar(&asked.Stop, "stop", false, "stop a server that runs, and start it again afterwards")
	return command
}

func serverRestoreCommand(o *options) *cobra.Command {
	var asked backup.Restore
	command := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring a server back from a backup, also on another machine",
		Long: `Brings back what spire-config server backup has kept: configuration, keys and datastore.
Agents that find it at their server_address go on as they are, since it is the same
server. The one that was lost must not come back beside it.

The archive is read and compared with its checksums before anything is done. It is refused
where a server runs or has state, and where spire-server is older than its database.`,
		Example: "  spire-config server restore /root/spire.backup --start",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.File = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	command.Flags().BoolVar(&asked.Start, "start", false, "enable and start the server, and wait until it answers")
	command.Flags().BoolVar(&asked.Force, "force", false, "give up the server's state that is here; it is kept as *.before-spire-config")
	return command
}

func upgradeCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "upgrade",
		Short: "Ask about upgrades of SPIRE",
		Long:  "Knows which versions of SPIRE may follow one another. It upgrades nothing itself.",
	}
	command.AddCommand(upgradeCheckCommand(o))
	return command
}

func upgradeCheckCommand(o *options) *cobra.Command {
	var asked upgrade.Check
	command := &cobra.Command{
		Use:   "check VERSION",
		Short: "Say whether SPIRE here may go to a version now",
		Long: `Says whether the installed server and agent may go to VERSION. A server goes one minor
version at a time, servers before agents; an agent is never newer than its server, and at
most one minor version older. The exit status is 0 for yes and 1 for no.`,
		Example: "  spire-config upgrade check 1.15.0",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.To = arguments[0]
			err := asked.Run(command.Context(), o.machine(command))
			if errors.Is(err, upgrade.ErrRefused) {
				return status(1)
			}
			return err
		},
	}
	command.Flags().StringVar(&asked.Server, "server", "", "the `VERSION` of the agent's server, where that is on another machine")
	return command
}
