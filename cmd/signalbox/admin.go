package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/app"
	"signalbox/internal/status"
	"signalbox/internal/term"
	"signalbox/internal/trouble"

	"github.com/spf13/cobra"
)

// adminFlags are the flags of the commands that ask a running appliance.
type adminFlags struct {
	g     *global
	url   string
	trust trustFlags
	json  bool
}

func (f *adminFlags) add(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return f.reach(cmd)
}

// reach is add for what is no JSON.
func (f *adminFlags) reach(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&f.url, "url", "", "ask the signalbox at this `URL` (default: the one that runs here with "+
		"this state\ndirectory or configuration); a mere name stands for https")
	f.trust.register(cmd)
	return cmd
}

func (f *adminFlags) client() (*admin.Client, error) {
	cfg, err := f.g.config()
	if err != nil {
		return nil, err
	}
	dir, err := f.g.existingState()
	if err != nil {
		return nil, err
	}
	trust, err := f.trust.load()
	if err != nil {
		return nil, usageError{err}
	}
	at := ""
	if f.url != "" {
		u, err := boxURL(f.url)
		if err != nil {
			return nil, usageError{fmt.Errorf("--url: %w", err)}
		}
		at = u.String()
	}
	a, err := app.NewAdmin(&cfg, dir, at, trust)
	switch {
	case errors.Is(err, app.ErrNotRunning):
		return nil, err
	case err != nil:
		return nil, stateError(err)
	}
	return a, nil
}

// stateError explains an error of the state directory of a running appliance. Most often another
// user owns it.
func stateError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: only root and the user that signalbox runs as may read it; try sudo", err)
	}
	return usageError{err}
}

// ask puts a question to a running appliance and prints the answer: with --json as an object, else
// as text writes it, in columns.
func ask[T any](cmd *cobra.Command, f *adminFlags, question func(context.Context, *admin.Client) (T, error),
	text func(io.Writer, T)) error {
	a, err := f.client()
	if err != nil {
		return err
	}
	answer, err := question(cmd.Context(), a)
	if err != nil {
		return err
	}
	if f.json {
		return term.JSON(cmd.OutOrStdout(), answer)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	text(w, answer)
	return w.Flush()
}

// showCommand prints a part of the status.
func showCommand(g *global, use, short string, part func(status.Status) any,
	text func(io.Writer, status.Status)) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s status.Status
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (_ any, err error) {
				s, err = a.Status(ctx)
				return part(s), err
			}, func(w io.Writer, _ any) { text(w, s) })
		},
	})
}

func adminCommands(g *global) []*cobra.Command {
	return []*cobra.Command{
		showCommand(g, "status", "Show what a running signalbox does", func(s status.Status) any { return s },
			printStatus),
		showCommand(g, "rooms", "List the rooms and their members",
			func(s status.Status) any { return map[string]any{"rooms": s.Signal.Rooms} }, printRooms),
		showCommand(g, "allocations", "List the TURN allocations",
			func(s status.Status) any { return map[string]any{"allocations": s.TURN.Allocations} }, printAllocations),
		sessionsCommand(g), usageCommand(g), logCommand(g), kickCommand(g), bansCommand(g), unbanCommand(g),
		closeCommand(g), reloadCommand(g), drainCommand(g),
	}
}

func printStatus(w io.Writer, s status.Status) {
	fmt.Fprintf(w, "version\t%s\n", term.Text(s.Version))
	fmt.Fprintf(w, "up\t%s\n", time.Since(time.UnixMilli(s.StartedAt)).Round(time.Second))
	fmt.Fprintf(w, "relay address\t%s\n", term.Text(strings.Join(s.PublicIP, " ")))
	if c := s.Certificate; c != nil {
		until := "until " + time.UnixMilli(c.NotAfter).Format(time.DateOnly)
		if c.StandIn {
			until = "none yet: a self-signed one stands in"
		}
		fmt.Fprintf(w, "certificate\t%s, %s, for %s\n", term.Text(c.Mode), until,
			term.Text(strings.Join(c.Names, " ")))
		if c.Problem != "" {
			fmt.Fprintf(w, "\t%s\n", term.Text(c.Problem))
		}
	}
	fmt.Fprintf(w, "sessions\t%d in %d rooms\n", s.Signal.Sessions, len(s.Signal.Rooms))
	fmt.Fprintf(w, "allocations\t%d\n", len(s.TURN.Allocations))
	fmt.Fprintf(w, "sent by the relay in %s\t%s, with headers\n", term.Text(s.TURN.Transfer.Month),
		bytesInWords(s.TURN.Transfer.Bytes))
	if u := s.Usage; u != nil {
		fmt.Fprintf(w, "used today\t%s\n", usageInWords(&u.Day))
		fmt.Fprintf(w, "used in %s\t%s\n", term.Text(u.Month.At), usageInWords(&u.Month))
	}
	for _, u := range s.TURN.SharedUsers {
		fmt.Fprintf(w, "shared TURN user\t%s: %d addresses share its turn.limits.per_user, with %d allocations\n",
			term.Text(strconv.Quote(u.User)), u.Sources, u.Allocations)
	}
	printServer(w, s)
	printSelfTest(w, s)
	if n := s.Admin.Wrong + s.Admin.Limited; n > 0 {
		fmt.Fprintf(w, "admin logins refused\t%d\n", n)
	}
	if n := s.LogLinesLost; n > 0 {
		fmt.Fprintf(w, "log lines lost\t%d: nobody read them in time\n", n)
	}
}

// printSelfTest tells what the box has found out about itself, and whether the operator could be
// told.
func printSelfTest(w io.Writer, s status.Status) {
	switch t := s.SelfTest; {
	case !t.On, t.At == 0:
	case len(t.Faults) == 0:
		fmt.Fprintf(w, "self-test\tpassed, %s\n", time.UnixMilli(t.At).Format(time.DateTime))
	default:
		for _, f := range t.Faults {
			fmt.Fprintf(w, "fault\t%s since %s: %s\n", term.Text(string(f.Code)),
				time.UnixMilli(f.Since).Format(time.DateTime), term.Text(f.Detail))
			fmt.Fprintf(w, "\t%s\n", term.Text(trouble.Fix(f.Code)))
		}
	}
	if p := s.Notices.Problem; p != "" {
		fmt.Fprintf(w, "notify\tthe operator can't be told: %s\n", term.Text(p))
	}
}

// printServer tells how the operator's own server takes part, if one does.
func printServer(w io.Writer, s status.Status) {
	if a := s.API; a.On {
		fmt.Fprintf(w, "server API\t%d requests, %d refused, %d with a wrong key\n", a.Served+a.Failed, a.Failed,
			a.Wrong)
	}
	h := s.Webhook
	if h.News {
		fmt.Fprintf(w, "webhook\t%d events delivered, %d wait, %d lost\n", h.Delivered, h.Waiting, h.Lost)
		if h.Problem != "" {
			fmt.Fprintf(w, "\tnot delivered: %s\n", term.Text(h.Problem))
		}
	}
	if h.Asks {
		fmt.Fprintf(w, "connect hook\t%d admitted, %d refused, %d without an answer\n", h.Admitted, h.Refused,
			h.Unanswered)
	}
}

func printRooms(w io.Writer, s status.Status) {
	fmt.Fprintln(w, "ROOM\tPEER\tNAME\tUSER\tSOURCE\tSINCE\tPROTOCOL")
	for _, r := range s.Signal.Rooms {
		if len(r.Members) == 0 { // it is kept
			fmt.Fprintln(w, term.Text(strconv.Quote(r.Room))+"\t-\t\t\t\t\t")
		}
		for _, m := range r.Members {
			row := []string{strconv.Quote(r.Room), m.ID, strconv.Quote(m.Name), m.User, fmt.Sprint(m.Source),
				time.UnixMilli(m.Since).Format(time.DateTime), m.Dialect}
			fmt.Fprintln(w, strings.Join(term.Texts(row), "\t"))
		}
	}
}

func printAllocations(w io.Writer, s status.Status) {
	names := map[string]string{} // of peer ids
	for _, r := range s.Signal.Rooms {
		for _, m := range r.Members {
			names[m.ID] = strconv.Quote(m.Name)
		}
	}
	fmt.Fprintln(w, "ID\tUSER\tNAME\tCLASS\tCLIENT\tRELAY\tAGE\tFROM CLIENT\tTO CLIENT\tPEERS")
	for _, a := range s.TURN.Allocations {
		_, peer, _ := strings.Cut(a.User, ":") // of the hub's credentials
		row := []string{a.ID, a.User, names[peer], a.Class, a.Client + "/" + a.Transport, a.Relay,
			time.Since(time.UnixMilli(a.CreatedAt)).Round(time.Second).String(),
			bytesInWords(int64(a.FromClientBytes)), bytesInWords(int64(a.ToClientBytes)),
			strings.Join(a.Permissions, " ")}
		fmt.Fprintln(w, strings.Join(term.Texts(row), "\t"))
	}
}

// bytesInWords writes a size with at most four digits.
func bytesInWords(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1000, 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	return fmt.Sprintf("%.1f %cB", v, units[i])
}

func kickCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	var (
		ban time.Duration
		why string
	)
	cmd := f.add(&cobra.Command{
		Use:   "kick peer:ID | user:NAME | token:KEY | allocation:ID | source:ADDRESS",
		Short: "End a client's sessions and allocations",
		Long: `kick ends a member's session and its allocations within a second. With --ban it also keeps them out
for a time, also over a restart. It bans a user by name, a token by its key, a source by its address or
network, and a peer by its id, its user name, its tokens and its address. The key of a room token is its
jti, or "sub:" and its sub. ` + "`signalbox bans`" + ` lists the bans, and ` + "`signalbox unban`" + ` lifts them.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("name one of peer:ID, user:NAME, token:KEY, allocation:ID or " +
					"source:ADDRESS; `signalbox rooms` and `signalbox allocations` list them")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, _ := strings.Cut(args[0], ":")
			var k admin.Kick
			field, ok := map[string]*string{"peer": &k.Peer, "user": &k.User, "token": &k.Token,
				"allocation": &k.Allocation, "source": &k.Source}[kind]
			if !ok || name == "" {
				return usageError{fmt.Errorf("%q is none of peer:ID, user:NAME, token:KEY, allocation:ID or "+
					"source:ADDRESS; `signalbox rooms` and `signalbox allocations` list them", args[0])}
			}
			*field = name
			if ban < 0 {
				return usageError{fmt.Errorf("--ban %s: want how long to keep them out, for example 1h", ban)}
			}
			if why != "" && ban == 0 {
				return usageError{errors.New("--why is kept with a ban: give --ban, too")}
			}
			if k.Why = why; ban > 0 {
				k.Ban = ban.String()
			}
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (admin.Result, error) {
				return a.Kick(ctx, k)
			}, func(w io.Writer, out admin.Result) {
				text := fmt.Sprintf("ended: %d sessions, %d allocations", out.Sessions, out.Allocations)
				if ban > 0 {
					text += fmt.Sprintf("; %s stays out for %s", args[0], ban)
				} else if out.Sessions+out.Allocations == 0 {
					text += fmt.Sprintf(": nothing here belongs to %s; `signalbox rooms` and `signalbox allocations` "+
						"list what is here", args[0])
				}
				if out.Warning != "" {
					text += "; but " + out.Warning
				}
				fmt.Fprintln(w, term.Text(text))
			})
		},
	})
	cmd.Flags().StringVar(&why, "why", "", "why they are kept out: `text` for the list of bans")
	cmd.Flags().DurationVar(&ban, "ban", 0, "keep them out for this long, for example 1h")
	return cmd
}
