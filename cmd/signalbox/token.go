package main

import (
	"fmt"
	"strings"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/app"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func tokenCommand(g *global) *cobra.Command {
	var r admission.TokenRequest
	var rooms []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "token", Short: "Make a room token that lets its bearer in", Args: noArgs,
		Long: `token makes a room token (JWT) for a signalbox with auth.mode = "jwt". If auth.jwt_key is a secret,
token signs with it; if it is a public key, token signs with the private key in --key. It prints the
token to standard output. If public_host is set, it also prints a link that opens the room with the
token to standard error.`,
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
			for _, room := range rooms {
				if strings.Contains(room, "*") {
					r.Patterns = append(r.Patterns, room)
				} else {
					r.Rooms = append(r.Rooms, room)
				}
			}
			token, err := app.MintToken(&cfg, r)
			if err != nil {
				return usageError{err}
			}
			if cfg.Auth.Mode != "jwt" {
				fmt.Fprintf(cmd.ErrOrStderr(),
					"note: auth.mode is %q here: only a signalbox with \"jwt\" asks for tokens\n", cfg.Auth.Mode)
			}
			if asJSON {
				return term.JSON(cmd.OutOrStdout(), token)
			}
			if token.URL != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), token.URL)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Token)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&rooms, "room", nil,
		"let its bearer enter this `room`; * matches any characters; may be repeated")
	flags.StringVar(&r.User, "user", "", "make its bearer \"@user\" for calls")
	flags.StringVar(&r.Name, "name", "", "show this name to others")
	flags.StringVar(&r.Subject, "sub", "", "the bearer's name in your own system; nobody else sees it")
	flags.IntVar(&r.Capacity, "capacity", 0, "the capacity of a room that its bearer opens (default "+
		"signal.room_capacity)")
	flags.DurationVar(&r.TTL, "ttl", time.Hour, "how long it is valid")
	flags.StringVar(&r.KeyFile, "key", "", "sign with the private key (PEM) or the secret in this `file`")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
