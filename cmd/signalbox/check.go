package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"signalbox"
)

func checkCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read the configuration and say what is wrong with it", Args: noArgs,
		Long: `check reads the configuration and says what is wrong with it. A key or value that cannot be used is an error (exit 2); what only
does not fit this machine, such as an address that it lacks, is a warning (exit 0).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.config()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, w := range signalbox.CheckHost(cfg) {
				fmt.Fprintln(out, "warning:", w)
			}
			source := "the built-in defaults"
			if g.load.File != "" {
				source = g.load.File
			}
			_, err = fmt.Fprintf(out, "%s: the configuration is valid\n", source)
			return err
		},
	}
}
