package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func bansCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: "bans", Short: "List the bans in force", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (list admin.Bans, err error) {
				list.Bans, err = a.Bans(ctx)
				return list, err
			}, printBans)
		},
	})
}

func printBans(w io.Writer, list admin.Bans) {
	fmt.Fprintln(w, "BANNED\tSINCE\tUNTIL\tWITH\tBY\tWHY")
	for _, b := range list.Bans {
		whom, with := banned(b), ""
		if b.For != whom {
			with = b.For
		}
		made, until := time.UnixMilli(b.Made), time.UnixMilli(b.Until)
		row := []string{whom, made.Format(time.DateTime), until.Format(time.DateTime), with, b.By, b.Why}
		fmt.Fprintln(w, strings.Join(term.Texts(row), "\t"))
	}
}

// banned is whom a ban is about, as unban takes it.
func banned(b admin.Ban) string {
	switch {
	case b.User != "":
		return "user:" + b.User
	case b.Peer != "":
		return "peer:" + b.Peer
	case b.Token != "":
		return "token:" + b.Token
	}
	return "source:" + b.Source.String()
}

func unbanCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use:   "unban peer:ID | user:NAME | token:KEY | source:ADDRESS",
		Short: "Lift a ban before its time is over",
		Long: `unban lifts bans that kick --ban has made. For a peer it lifts all that its kick has made: of its id, its
user name, its tokens and its address. ` + "`signalbox bans`" + ` lists the bans in force.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("name one of peer:ID, user:NAME, token:KEY or source:ADDRESS; " +
					"`signalbox bans` lists them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, _ := strings.Cut(args[0], ":")
			var u admin.Unban
			field, ok := map[string]*string{"peer": &u.Peer, "user": &u.User, "token": &u.Token,
				"source": &u.Source}[kind]
			if !ok || name == "" {
				return usageError{fmt.Errorf("%q is none of peer:ID, user:NAME, token:KEY or source:ADDRESS; "+
					"`signalbox bans` lists them", args[0])}
			}
			*field = name
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (admin.Unbanned, error) {
				return a.Unban(ctx, u)
			}, func(w io.Writer, out admin.Unbanned) {
				text := fmt.Sprintf("lifted: %d bans", out.Lifted)
				if out.Lifted == 0 {
					text = fmt.Sprintf("no ban is about %s; `signalbox bans` lists those in force", args[0])
				}
				if out.Warning != "" {
					text += "; but " + out.Warning
				}
				fmt.Fprintln(w, term.Text(text))
			})
		},
	})
}
