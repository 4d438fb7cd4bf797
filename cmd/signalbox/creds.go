package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"signalbox"
)

func credsCommand(g *global) *cobra.Command {
	var id string
	var ttl time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "creds", Short: "Mint a TURN credential that ends by itself", Args: noArgs,
		Long: `creds mints a time-limited TURN credential, by the convention that coturn calls use-auth-secret, with turn.secret or the secret in
the state directory. Any TURN client can use it until it expires.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl < time.Second {
				return usageError{fmt.Errorf("--ttl %s: want at least 1s", ttl)}
			}
			cfg, err := g.config()
			if err != nil {
				return err
			}
			state, err := g.existingState()
			if err != nil {
				return err
			}
			c, err := signalbox.MintCredential(cfg, state, id, ttl)
			if err != nil {
				return stateError(err)
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(c)
			}
			_, err = fmt.Fprintf(out, "username  %s\npassword  %s\nexpires   %s\n", c.Username, c.Password,
				c.Expires.Format(time.RFC3339))
			return err
		},
	}
	cmd.Flags().StringVar(&id, "user", "signalbox", "what the credential is for; it shows in the list of allocations")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long it allows new allocations")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
