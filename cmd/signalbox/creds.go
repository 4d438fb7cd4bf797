package main

import (
	"fmt"
	"time"

	"signalbox/internal/app"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func credsCommand(g *global) *cobra.Command {
	var id string
	var ttl time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "creds", Short: "Mint a time-limited TURN credential", Args: noArgs,
		Long: `creds mints a time-limited TURN credential, by the convention that coturn calls use-auth-secret. It
signs with turn.secret or the secret in the state directory. Any TURN client can use the credential
until it expires.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl < time.Second {
				return usageError{fmt.Errorf("--ttl %s: want at least 1s", ttl)}
			}
			cfg, err := g.config()
			if err != nil {
				return err
			}
			dir, err := g.existingState()
			if err != nil {
				return err
			}
			c, err := app.MintCredential(&cfg, dir, id, ttl)
			if err != nil {
				return stateError(err)
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return term.JSON(out, c)
			}
			_, err = fmt.Fprintf(out, "username  %s\npassword  %s\nexpires   %s\n", term.Text(c.Username), c.Password,
				time.UnixMilli(c.Expires).Format(time.RFC3339))
			return err
		},
	}
	cmd.Flags().StringVar(&id, "user", "signalbox", "a label for the credential, shown in the list of allocations")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long it allows new allocations")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
