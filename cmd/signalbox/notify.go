package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"signalbox/internal/app"
)

func notifyCommand(g *global) *cobra.Command {
	var test bool
	cmd := &cobra.Command{
		Use: "notify --test", Short: "Try whether the operator can be told of faults",
		Long: `notify --test sends a notice that says that it is a test, to notify.webhook and to notify.command, and
says what came of it. It runs the command as the user who asks, not as the box's: under systemd,
systemd-run --uid signalbox -P signalbox notify --test comes nearer.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !test {
				return usageError{errors.New("say --test: by itself, the running box tells what [notify] asks for")}
			}
			cfg, err := g.config()
			if err != nil {
				return err
			}
			if err := app.TestNotice(cmd.Context(), &cfg); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the test was sent")
			return err
		},
	}
	cmd.Flags().BoolVar(&test, "test", false, "send a test")
	return cmd
}
