package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"signalbox/internal/app"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func checkCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Read the configuration and say what is wrong with it", Args: noArgs,
		Long: `check reads the configuration and says what is wrong with it. An unknown key or an unusable value is
an error (exit code 2), and so is a file that the box can't read, a program of notify.command that it
can't run, or a state directory that it can't write to: as root, check asks for the state directory's
owner, as whom the box runs. A value that only does not fit this machine, such as an address that the
machine lacks, is a warning (exit code 0).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.config()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			state, err := g.statePath()
			if err != nil {
				return err
			}
			fatal := app.CheckAccess(&cfg, state, serviceUser(state))
			for _, w := range app.CheckHost(cmd.Context(), &cfg) {
				if !slices.ContainsFunc(fatal, w.About) {
					fmt.Fprintln(out, "warning:", term.Text(w.String()))
				}
			}
			if len(fatal) > 0 {
				var lines []string
				for _, w := range fatal {
					lines = append(lines, term.Text(w.String()))
				}
				return usageError{errors.New(strings.Join(lines, "\n"))}
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
