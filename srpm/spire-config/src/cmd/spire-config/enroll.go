package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/enroll"
)

func inviteCommand(o *options) *cobra.Command {
	var asked enroll.Invite
	command := &cobra.Command{
		Use:   "invite NAME",
		Short: "Invite one agent, on the server's machine",
		Long: `Writes an invitation for one agent: the server's address, the trust domain, its trust
bundle, and a join token that works once. NAME becomes the alias spiffe://TRUST-DOMAIN/NAME
of the agent, to which entries for its workloads are parented.

The file has mode 0600, for who has it can be that agent. Bring it to the agent's machine
by a way that nobody can read or change.`,
		Example: `  spire-config invite web1 --address spire.example.org
  spire-config invite web1 --address spire.example.org --output - |
    ssh root@web1 spire-config agent join - --start`,
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.Name = arguments[0]
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.DurationVar(&asked.TTL, "ttl", 10*time.Minute, "the `DURATION` for which the join token is valid")
	flags.StringVar(&asked.Address, "address", "", "the `HOST` or HOST:PORT where the agent finds the server; with several servers their common name (default: bind_address, or this machine's host name where that is 0.0.0.0)")
	flags.StringVar(&asked.Output, "output", "", "the `FILE` to write, which must not be there, or - for the standard output (default: NAME.invitation)")
	return o.changes(command)
}

func agentCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "agent",
		Short: "Set up the SPIRE agent of this machine",
		Long:  "Sets up the SPIRE agent of this machine, spire-agent.service.",
	}
	command.AddCommand(o.changes(agentJoinCommand(o)), agentAttestorCommand(o))
	return command
}

func agentJoinCommand(o *options) *cobra.Command {
	var asked enroll.Join
	command := &cobra.Command{
		Use:   "join FILE|-",
		Short: "Take an invitation, on the agent's machine",
		Long: `Configures the agent as an invitation says, from a file or, as -, from the standard
input: its lines in /etc/spire/agent/agent.conf, the trust bundle in bootstrap.crt, and the
join token in agent.env, mode 0600, from where it is removed when it was used.

Before anything is written, the server must answer at its address and show a certificate
of the trust domain that chains to the invitation's trust bundle. An agent that has
attested to something else keeps that, unless --force gives it up.`,
		Example: "  spire-config agent join web1.invitation --start",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			asked.File, asked.Input = arguments[0], command.InOrStdin()
			return asked.Run(command.Context(), o.machine(command))
		},
	}
	flags := command.Flags()
	flags.BoolVar(&asked.Start, "start", false, "enable and start the agent, wait until it has attested, and remove the join token")
	flags.BoolVar(&asked.Force, "force", false, "give up what this agent is attested to; its state is kept as *.before-spire-config")
	return command
}
