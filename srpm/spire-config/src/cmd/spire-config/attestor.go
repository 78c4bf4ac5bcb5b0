package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/attestor"
)

// evidence are the flags for what a machine attests by, and for who vouches for that.
type evidence struct {
	certificate, key, private, public, ca, endorsement, hostname string

	hosts []string
	port  int
}

const (
	keysStay = ` The files stay where they are; a key stays readable by root
alone, and systemd hands it to the agent at each start.`
	wrappedKey = " The files stay where they are: the key is of use in this TPM alone."
	filesStay  = " The files stay where they are, and must be open to the user spire-server."
	agentNamed = ` The server connects to that name, at the port, and
nothing else may listen there; the agent's unit is allowed a port below 1024.`
	serverAsks = ` The server asks DNS for the name, and connects to
it at the port: it trusts DNS, and the network between. A name attests once; to attest it
anew, spire-server agent evict comes before.`
)

func agentAttestorCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "attestor",
		Short: "Let the agent attest by what its machine has, instead of a join token",
		Long: `Changes the agent's NodeAttestor, and writes the drop-in that its unit needs for it. The
server's side is spire-config server attestor.

An agent that has an identity goes on with it until that ends, unless --force gives it up.`,
	}
	command.AddCommand(
		agentAttestor(o, "x509pop", "By a certificate of your PKI", keysStay, func(f evidence) attestor.Agent { return attestor.X509POP(f.certificate, f.key) }, "certificate", "key"),
		agentAttestor(o, "sshpop", "By an SSH host certificate", keysStay, func(f evidence) attestor.Agent { return attestor.SSHPOP(f.certificate, f.key) }, "certificate", "key"),
		agentAttestor(o, "tpm", "By a DevID certificate whose key is in the TPM", wrappedKey, func(f evidence) attestor.Agent { return attestor.TPM(f.certificate, f.private, f.public) }, "certificate", "private", "public"),
		agentAttestor(o, "http-challenge", "By the name that DNS knows the machine by", agentNamed, func(f evidence) attestor.Agent { return attestor.HTTPChallenge(f.hostname, f.port) }, "hostname", "port"),
	)
	return command
}

func agentAttestor(o *options, name, short, more string, make func(evidence) attestor.Agent, flags ...string) *cobra.Command {
	var named evidence
	var asked attestor.Agent
	command := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  short + "." + more,
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			agent := make(named)
			agent.TrustDomain, agent.Server, agent.Bundle = asked.TrustDomain, asked.Server, asked.Bundle
			agent.Start, agent.Force = asked.Start, asked.Force
			return agent.Run(command.Context(), o.machine(command))
		},
	}
	named.flags(command, flags)
	command.Flags().StringVar(&asked.TrustDomain, "trust-domain", "", "the `NAME` of the trust domain (default: as configured)")
	command.Flags().StringVar(&asked.Server, "server", "", "the `HOST` or HOST:PORT of the server (default: as configured)")
	command.Flags().StringVar(&asked.Bundle, "bundle", "", "a `FILE` with the trust bundle to know the server by, which becomes bootstrap.crt (default: as it is)")
	command.Flags().BoolVar(&asked.Start, "start", false, "enable and start the agent, and wait until it has attested")
	command.Flags().BoolVar(&asked.Force, "force", false, "give up the identity that the agent has; its state is kept as *.before-spire-config")
	return o.changes(command)
}

func serverAttestorCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use:   "attestor",
		Short: "Let the server attest agents by what their machines have",
		Long:  "Adds a NodeAttestor to the server's; those that it has stay. The agent's side is spire-config agent attestor.",
	}
	command.AddCommand(
		serverAttestor(o, "x509pop", "By certificates of your PKI", filesStay, func(f evidence) attestor.Server {
			return attestor.Server{Plugin: "x509pop", Files: []attestor.Setting{{Name: "ca_bundle_path", File: f.ca}}}
		}, "ca"),
		serverAttestor(o, "sshpop", "By SSH host certificates", filesStay, func(f evidence) attestor.Server {
			return attestor.Server{Plugin: "sshpop", Files: []attestor.Setting{{Name: "cert_authorities_path", File: f.ca}}}
		}, "ca"),
		serverAttestor(o, "tpm", "By DevID certificates whose keys are in TPMs", filesStay, func(f evidence) attestor.Server {
			return attestor.Server{Plugin: "tpm_devid", Files: []attestor.Setting{{Name: "devid_ca_path", File: f.ca}, {Name: "endorsement_ca_path", File: f.endorsement}}}
		}, "ca", "endorsement-ca"),
		serverAttestor(o, "http-challenge", "By the names that DNS knows machines by", serverAsks, func(f evidence) attestor.Server { return attestor.ServerHTTPChallenge(f.hosts, f.port) }, "hosts", "port"),
	)
	return command
}

func serverAttestor(o *options, name, short, more string, make func(evidence) attestor.Server, flags ...string) *cobra.Command {
	var named evidence
	var start bool
	command := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  short + "." + more,
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			server := make(named)
			server.Start = start
			return server.Run(command.Context(), o.machine(command))
		},
	}
	named.flags(command, flags)
	command.Flags().BoolVar(&start, "start", false, "enable the server and start it anew, and wait until it answers")
	return o.changes(command)
}

// flags gives a command those that it needs.
func (f *evidence) flags(command *cobra.Command, names []string) {
	for _, flag := range []struct {
		name, usage string
		value       *string
	}{
		{"certificate", "the `FILE` with the machine's certificate", &f.certificate},
		{"key", "the `FILE` with the certificate's private key, which root alone may read", &f.key},
		{"private", "the `FILE` with the private part of the key, as the TPM has wrapped it", &f.private},
		{"public", "the `FILE` with the public part of the key, as the TPM has written it", &f.public},
		{"ca", "the `FILE` with the CAs of the machines' certificates", &f.ca},
		{"endorsement-ca", "the `FILE` with the CAs of the TPMs' makers", &f.endorsement},
		{"hostname", "the `NAME` by which the server finds this machine", &f.hostname},
	} {
		for _, name := range names {
			if name == flag.name {
				command.Flags().StringVar(flag.value, name, "", flag.usage)
				required(command, name)
			}
		}
	}
	if slices.Contains(names, "hosts") {
		command.Flags().StringArrayVar(&f.hosts, "hosts", nil, "a regular `EXPRESSION` that fits whole names of machines which may attest, such as 'web[0-9]+[.]example[.]org'; may be given several times")
		required(command, "hosts")
	}
	if slices.Contains(names, "port") {
		command.Flags().IntVar(&f.port, "port", 80, "the `PORT` of the agent's machine where the server connects; from 1024 on, any program there can be the agent, if it is first")
	}
}
