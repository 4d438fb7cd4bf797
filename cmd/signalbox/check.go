package main

import (
	"fmt"

	"signalbox/internal/app"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func checkCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read the configuration and say what is wrong with it", Args: noArgs,
		Long: `check reads the configuration and says what is wrong with it. An unknown key or an unusable value is
an error (exit code 2). A value that only does not fit this machine, such as an address that the
machine lacks, is a warning (exit code 0).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.config()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, w := range app.CheckHost(cmd.Context(), &cfg) {
				fmt.Fprintln(out, "warning:", term.Text(w.String()))
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
