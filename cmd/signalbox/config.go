package main

import (
	"io"

	"signalbox/internal/config"
	"signalbox/internal/term"

	"github.com/spf13/cobra"

	"signalbox"
)

func configCommand(g *global) *cobra.Command {
	effective := false
	cmd := &cobra.Command{
		Use: "config", Short: "Print every key with its default and its explanation", Args: noArgs,
		Long: `config prints the reference of the configuration: every key with its default and its explanation. Your
own file needs only the keys that differ. --effective prints the values in force instead, of defaults,
file and command line together, without secrets.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := signalbox.DefaultConfig
			if effective {
				_, given, err := config.LoadGiven(signalbox.DefaultConfig, g.load)
				if err != nil {
					return usageError{err}
				}
				if text, err = given.TOML(); err != nil {
					return err
				}
				text = term.Lines(text)
			}
			_, err := io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&effective, "effective", false, "print the values in force, without secrets")
	return cmd
}
