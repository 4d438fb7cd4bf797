package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/term"
	"signalbox/internal/usage"

	"github.com/spf13/cobra"
)

func usageCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	q := usage.Query{}
	cmd := f.add(&cobra.Command{
		Use: "usage", Short: "List what users have used of the relay", Args: noArgs,
		Long: `usage lists what users have used of the relay in a month or on a day, in UTC, over restarts: who has
relayed most comes first. With --user it lists that user's months or days. "guests" are those of a class
who have no name: sessions without a token that names them, credentials of /api/ice; "others" are all
users for whom there was no room.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.Check(); err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
			return ask(cmd, f, func(ctx context.Context, a *admin.Client) (usage.Answer, error) {
				return a.Usage(ctx, q)
			}, printUsage)
		},
	})
	cmd.Flags().StringVar((*string)(&q.Period), "period", string(usage.Month), "by month or by day")
	cmd.Flags().StringVar(&q.At, "at", "", "the `month` or day to list, for example 2026-11 (default: the current one)")
	cmd.Flags().StringVar(&q.User, "user", "", "list this `user` alone")
	cmd.Flags().StringVar(&q.Order, "sort", "", "by "+strings.Join(usage.Orders(), ", ")+" (default "+
		usage.Orders()[0]+")")
	return cmd
}

func printUsage(w io.Writer, a usage.Answer) {
	fmt.Fprintln(w, strings.ToUpper(string(a.Period))+"\tUSER\tCLASS\tALLOCATIONS\tTIME\tFROM CLIENT\tTO CLIENT")
	for _, r := range a.Rows {
		user := strconv.Quote(r.User)
		switch {
		case r.Class == "":
			user = "others"
		case r.User == "":
			user = "guests"
		}
		row := []string{r.At, user, r.Class, strconv.FormatUint(r.Allocations, 10),
			(time.Duration(r.Seconds) * time.Second).String(),
			bytesInWords(int64(r.FromClientBytes)), bytesInWords(int64(r.ToClientBytes))}
		fmt.Fprintln(w, strings.Join(term.Texts(row), "\t"))
	}
}

// usageInWords is for status.
func usageInWords(s *usage.Sum) string {
	return fmt.Sprintf("%d allocations, %d users with a name, %s from clients, %s to them", s.Allocations, s.Users,
		bytesInWords(int64(s.FromClientBytes)), bytesInWords(int64(s.ToClientBytes)))
}
