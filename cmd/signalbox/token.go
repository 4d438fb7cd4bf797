package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"signalbox"
)

func tokenCommand(g *global) *cobra.Command {
	var r signalbox.TokenRequest
	var asJSON bool
	cmd := &cobra.Command{
		Use: "token", Short: "Make a room token that lets its bearer in", Args: noArgs,
		Long: `token makes a room token (JWT) for a signalbox with auth.mode = "jwt". It signs with auth.jwt_key if that is a secret; if it is a public key, with
the private key in --key. The token goes to standard output, the link that opens the room with it to standard error, if public_host is set.`,
		Example: `  signalbox token -c config.toml --room tea --name Alice
  signalbox token -c config.toml --room 'team-*' --user alice --ttl 12h`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.TTL < time.Second {
				return usageError{fmt.Errorf("--ttl %s: want at least 1s", r.TTL)}
			}
			cfg, err := g.config()
			if err != nil {
				return err
			}
			token, err := signalbox.MintToken(cfg, r)
			if err != nil {
				return usageError{err}
			}
			if cfg.Auth.Mode != "jwt" {
				fmt.Fprintf(cmd.ErrOrStderr(),
					"note: auth.mode is %q here: only a signalbox with \"jwt\" asks for tokens\n", cfg.Auth.Mode)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(token)
			}
			if token.URL != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), token.URL)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&r.Rooms, "room", nil, "let it enter this room; * stands for any characters; may be repeated")
	flags.StringVar(&r.User, "user", "", "make its bearer \"@user\" for calls")
	flags.StringVar(&r.Name, "name", "", "show this name to others")
	flags.StringVar(&r.Subject, "sub", "", "the bearer's name in your own system; it is shown to nobody")
	flags.IntVar(&r.Capacity, "capacity", 0, "how many a room that its bearer opens may hold (default "+
		"signal.room_capacity)")
	flags.DurationVar(&r.TTL, "ttl", time.Hour, "how long it is good")
	flags.StringVar(&r.KeyFile, "key", "", "sign with the private key (PEM) or the secret in this `file`")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
