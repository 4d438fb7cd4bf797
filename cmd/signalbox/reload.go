package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"signalbox/internal/admin"
	"signalbox/internal/app"
	"signalbox/internal/term"

	"github.com/spf13/cobra"
)

func reloadCommand(g *global) *cobra.Command {
	f := &adminFlags{g: g}
	return f.add(&cobra.Command{
		Use: "reload", Short: "Have a running signalbox read its configuration again", Args: noArgs,
		Long: `reload has a running signalbox read its configuration and its certificate again, without touching
calls, and says what came of it. If the new configuration can't be used, the old one stays in force and
the exit code is 2. Keys that need a restart keep their old values: reload names them. Where the web
ports are off, it sends SIGHUP, and only the log says what came of it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := f.client()
			if errors.Is(err, admin.ErrNoPort) {
				return hangUp(cmd.OutOrStdout(), g)
			}
			if err != nil {
				return err
			}
			done, err := a.Reload(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if f.json {
				err = term.JSON(out, done)
			} else if done.Refused == "" {
				changed := "nothing has changed"
				if len(done.Changed) > 0 {
					changed = strings.Join(done.Changed, ", ")
				}
				_, err = fmt.Fprintln(out, "reloaded:", term.Text(changed))
			}
			if err == nil && len(done.NeedRestart) > 0 && !f.json {
				_, err = fmt.Fprintln(out, "these wait for a restart:", term.Text(strings.Join(done.NeedRestart, ", ")))
			}
			if err == nil && done.Refused != "" {
				err = usageError{errors.New("the old configuration stays in force: " + done.Refused)}
			}
			return err
		},
	})
}

// hangUp has a signalbox without a web port read its configuration again.
func hangUp(out io.Writer, g *global) error {
	dir, err := g.existingState()
	if err != nil {
		return err
	}
	pid, err := app.HangUp(dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "sent SIGHUP to process %d, since the web ports are off: the log says what came of it\n",
		pid)
	return err
}
