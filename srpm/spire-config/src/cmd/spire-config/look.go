package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/spiffe-experimental/spire-config/internal/check"
	"github.com/spiffe-experimental/spire-config/internal/doctor"
	machinestatus "github.com/spiffe-experimental/spire-config/internal/status"
)

func checkCommand(o *options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "check [FILE...]",
		Short: "Look at configurations for what validate does not see",
		Long: `Looks at configurations of server, agent and spiffe-helper for what spire-server validate
and spire-agent validate do not see: empty variables, files that the service's user cannot
read, secrets that everybody can, plugins that need a drop-in, names in plugin_data that no
plugin knows, lifetimes that a CA cuts short, ports that are taken. Without a FILE it looks
at all that are in their places.

A line for each finding: FILE:LINE: severity: what: what to do. The exit status is 1 if one
is an error, and 0 if there are warnings only.`,
		RunE: func(command *cobra.Command, files []string) error {
			findings, err := check.Files(command.Context(), o.machine(command), files)
			if err != nil {
				return err
			}
			return printFindings(command, findings, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return command
}

func printFindings(command *cobra.Command, findings []check.Finding, asJSON bool) error {
	if asJSON {
		if err := printJSON(command, func() ([]byte, error) { return check.JSON(findings) }); err != nil {
			return err
		}
	} else {
		for _, finding := range findings {
			fmt.Fprintln(command.OutOrStdout(), finding)
		}
	}
	if check.Count(findings, check.Error) > 0 {
		return status(1)
	}
	return nil
}

func printJSON(command *cobra.Command, write func() ([]byte, error)) error {
	text, err := write()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(command.OutOrStdout(), "%s\n", text)
	return err
}

func doctorCommand(o *options) *cobra.Command {
	var asJSON bool
	var as string
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why SPIRE does not work here, and what mends it",
		Long: `Looks at the services of this machine: units, sockets, the way to the server and its
certificate, the clock, the agent's identity, the disk, the configuration, and the journal,
whose errors it translates. With --as it asks the Workload API as that user and, where
that gets no identity, says which entries come near and what they want.

Each finding has a line "mend:" with the command that mends it. The exit status is 0 if all
is well, 1 if something was found, and 2 if it could not look.`,
		Example: "  spire-config doctor --as www-data",
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			report, err := doctor.Examine(command.Context(), o.machine(command), as)
			if errors.Is(err, doctor.ErrBlind) {
				fmt.Fprintf(command.ErrOrStderr(), "spire-config: %v\n", err)
				return status(2)
			}
			if err != nil {
				return err
			}
			return printReport(command, report, asJSON)
		},
	}
	command.Flags().StringVar(&as, "as", "", "ask the Workload API as this `USER`, too")
	command.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return command
}

func printReport(command *cobra.Command, report doctor.Report, asJSON bool) error {
	if asJSON {
		if err := printJSON(command, report.JSON); err != nil {
			return err
		}
	} else {
		report.Write(command.OutOrStdout())
	}
	if !report.Healthy {
		return status(1)
	}
	return nil
}

func statusCommand(o *options) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "status",
		Short: "Say how SPIRE is on this machine",
		Long:  "Says on one screen: trust domain, server, agent, when their identities end, versions. Root sees more.",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			m := o.machine(command)
			now := machinestatus.Of(command.Context(), m, version)
			if asJSON {
				return printJSON(command, now.JSON)
			}
			return now.Write(command.OutOrStdout(), m.Now())
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "write JSON")
	return command
}
