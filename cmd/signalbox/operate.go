package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func closeCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: "close ROOM", Short: "End a room",
		Long: `close ends a room: its members leave it, and are told that they were removed. They may open a room of
that name again: see ` + "`signalbox kick --ban`" + `. Rooms of other protocols are named as
` + "`signalbox rooms`" + ` lists them.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError{errors.New("name one room; `signalbox rooms` lists them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (admin.Closed, error) {
				return a.Close(ctx, args[0])
			}, func(w io.Writer, out admin.Closed) {
				fmt.Fprintf(w, "closed: %d members have left\n", out.Members)
			})
		},
	})
}

func drainCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: "drain", Short: "Have a running signalbox end once its allocations have ended", Args: noArgs,
		Long: `drain has a running signalbox refuse new sessions and allocations, wait until the running ones have ended
or drain.timeout is over, and end, as SIGTERM does. It returns at once; ` + "`signalbox status`" + ` answers until
the end. Nothing takes it back but a start.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (admin.Draining, error) {
				return a.Drain(ctx)
			}, func(w io.Writer, out admin.Draining) {
				fmt.Fprintf(w, "draining: %d allocations\n", out.Allocations)
			})
		},
	})
}

func sessionsCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	var (
		search, sort  string
		limit, offset int
	)
	cmd := f.add(&cobra.Command{
		Use: "sessions", Short: "List the sessions, also those in no room", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case sort != "name" && sort != "rate":
				return usageError{fmt.Errorf("--sort %q: want name or rate", sort)}
			case limit < 1 || limit > admin.MaxPage:
				return usageError{fmt.Errorf("--limit %d: want 1 to %d", limit, admin.MaxPage)}
			case offset < 0:
				return usageError{fmt.Errorf("--offset %d: want 0 or more", offset)}
			}
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (admin.SessionList, error) {
				return a.Sessions(ctx, url.Values{"search": {search}, "sort": {sort},
					"limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)}})
			}, printSessions)
		},
	})
	cmd.Flags().StringVar(&search, "search", "",
		"only those that have this `text` in a name, a user, a source or a\nroom")
	cmd.Flags().StringVar(&sort, "sort", "name", "by `what`: name or rate")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	cmd.Flags().IntVar(&offset, "offset", 0, "leave out so many first")
	return cmd
}

func printSessions(w io.Writer, list admin.SessionList) {
	fmt.Fprintln(w, "PEER\tNAME\tUSER\tSOURCE\tALLOCATIONS\tRATE\tROOMS")
	for _, s := range list.Sessions {
		row := []string{s.ID, strconv.Quote(s.Name), s.User, s.Source.String(), strconv.Itoa(s.Allocations),
			bytesInWords(int64(s.Rate.FromClient+s.Rate.ToClient)) + "/s", strings.Join(s.Rooms, " ")}
		fmt.Fprintln(w, strings.Join(term.Texts(row), "\t"))
	}
	if shown := list.Offset + len(list.Sessions); shown < list.Total {
		fmt.Fprintf(w, "%d more: --offset %d\n", list.Total-shown, shown)
	}
}

func logCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: "log", Short: "Print the last lines of the log that warn or refuse", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (log admin.Log, err error) {
				log.Lines, err = a.Log(ctx)
				return log, err
			}, func(w io.Writer, log admin.Log) {
				for _, l := range log.Lines {
					fmt.Fprintln(w, time.UnixMilli(l.At).Format(time.DateTime), term.Text(l.Level), term.Text(l.Text))
				}
			})
		},
	})
}
