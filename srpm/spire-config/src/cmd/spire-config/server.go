package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/backup"
	"github.com/spiffe-experimental/spire-config/internal/datastore"
	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/upgrade"
)

func serverCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "server",
		Short: "Set up the SPIRE server of this machine",
		Long:  "Sets up the SPIRE server of this machine, spire-server.service.",
	}
	command.AddCommand(o.changes(serverInitCommand(o)), o.changes(serverInviteCommand(o)), o.changes(serverJoinCommand(o)), o.changes(serverBackupCommand(o)), o.changes(serverRestoreCommand(o)), serverAttestorCommand(o))
	return command
}

func serverInitCommand(o *options) *cobra.Command {
	var asked setup.Server
	var databases databases
	command := &cobra.Command{
		Use:   "init",
		Short: "Configure the server of a new trust domain",
		Long: `Writes trust domain, address and port into /etc/spire/server/server.conf, whose other
lines stay as they are, and validates it as the service would read it.

A server that has keys and entries of a trust domain already keeps it: another name is
refused.

With --postgres or --mysql it keeps agents and entries in a database that other servers
can share. The file has the connection string in its one line, with the password, which
goes into /etc/spire/server/server.env. The database must be reached by TLS that verifies
its certificate, unless it is on this machine. It is tried before anything is written.`,
		Example: `  spire-config server init --trust-domain example.org --address spire.example.org --start
  spire-config server init --trust-domain example.org --address 0.0.0.0 \
    --postgres /root/database --database-ca /root/database-ca.crt --start`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			asked.Database = databases.asked(command.InOrStdin())
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.StringVar(&asked.TrustDomain, "trust-domain", "", "the `NAME` of the trust domain, with which all SPIFFE IDs begin")
	flags.StringVar(&asked.Address, "address", "", "the `HOST` where agents connect: a name, an address of this machine, or 0.0.0.0 (default: as configured)")
	flags.IntVar(&asked.Port, "port", 0, "the `PORT` where agents connect (default: as configured)")
	databases.flags(command)
	flags.BoolVar(&asked.Start, "start", false, "enable and start the server, and wait until it answers")
	required(command, "trust-domain")
	return command
}

// databases are the flags that name a shared database.
type databases struct{ postgres, mysql, ca string }

func (d *databases) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&d.postgres, "postgres", "", "the `FILE` with the connection string of PostgreSQL, mode 0600, or - for the standard input: host=HOST dbname=DATABASE user=USER password=PASSWORD, or a URL")
	flags.StringVar(&d.mysql, "mysql", "", "the `FILE` with that of MySQL or MariaDB: USER:PASSWORD@tcp(HOST:3306)/DATABASE")
	flags.StringVar(&d.ca, "database-ca", "", "the `FILE` with the CA of the database's certificate, which is kept beside the configuration (default: this machine's CAs)")
	command.MarkFlagsMutuallyExclusive("postgres", "mysql")
}

func (d *databases) asked(input io.Reader) setup.Database {
	asked := setup.Database{CA: d.ca, Input: input}
	switch {
	case d.postgres != "":
		asked.Kind, asked.File = datastore.Postgres, d.postgres
	case d.mysql != "":
		asked.Kind, asked.File = datastore.MySQL, d.mysql
	}
	return asked
}

func required(command *cobra.Command, flag string) {
	if err := command.MarkFlagRequired(flag); err != nil {
		panic(err)
	}
}

func serverInviteCommand(o *options) *cobra.Command {
	var asked backup.Invite
	return &cobra.Command{
		Use:   "invite FILE|-",
		Short: "Invite another server of the same trust domain",
		Long: `Writes what another server of this trust domain needs: /etc/spire/server and the drop-ins
of spire-server.service, with the database's password and what else is in that folder, such
as the key of an upstream CA. The keys of the server's own CA stay: each server has its own.
The file has mode 0600.

The server must run, with PostgreSQL or MySQL as its database.`,
		Example: "  spire-config server invite - | ssh root@server-2 spire-config server join - --start",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.File = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
}

func serverJoinCommand(o *options) *cobra.Command {
	var asked backup.Join
	command := &cobra.Command{
		Use:   "join FILE|-",
		Short: "Make this machine's server another one of a trust domain",
		Long: `Takes the invitation of another server, from a file or, as -, from the standard input:
its configuration becomes this server's, with keys of its own. Agents, entries and trust
bundle are those of the shared database.

Before anything is written the database must answer here, and know the trust domain; after
the start the trust bundle must have the other server's root, or the server is stopped. A
server that has another trust domain or database already is refused.`,
		Example: "  spire-config server join server-2.invitation --start",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.File, asked.Input = arguments[0], command.InOrStdin()
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	command.Flags().StringVar(&asked.Address, "address", "", "the `HOST` where this server listens (default: the other's bind_address, or 0.0.0.0 where that is not this machine's)")
	command.Flags().BoolVar(&asked.Start, "start", false, "enable and start the server, and wait until it answers")
	return command
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
