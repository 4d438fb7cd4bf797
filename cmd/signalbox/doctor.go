package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"signalbox/cmd/signalbox/internal/doctor"
	"signalbox/internal/term"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	token   string
	trust   trustFlags
	json    bool
	timeout time.Duration
}

func doctorCommand(g *global) *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use: "doctor [URL]", Short: "Say why calls don't connect, and what to do",
		Long: `doctor checks a box as a caller would use it: its name, web port, clock and certificate, signaling
over WebSocket and server-sent events, and every STUN and TURN address that it hands out. Each such
address must answer; a TURN address must also give out a relay address, pass data from relay to
relay, and refuse what it must refuse.

With a URL doctor checks the box there. Without one it checks this machine with this configuration
(-c, --set, --state), and then the box that runs here; if none runs, it starts one for the duration
of the checks. It changes nothing. A warning or a failure names its fault in brackets, by a code of
TROUBLES.md: /usr/share/doc/signalbox has it, or internal/trouble in the archive. The exit code is 0
if nothing failed, 1 if something failed.`,
		Example: `  signalbox doctor https://call.example.org
  signalbox doctor -c /etc/signalbox/config.toml --state /var/lib/signalbox`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("unexpected argument %q: name one URL, or none for this machine", args[1])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, g, args) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.token, "token", "", "enter with this password or room `token`")
	f.trust.register(cmd)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "how long one check may take")
	return cmd
}

func (f *doctorFlags) run(cmd *cobra.Command, g *global, args []string) error {
	if f.timeout < 100*time.Millisecond || f.timeout > time.Minute {
		return usageError{fmt.Errorf("--timeout %s: want 100ms to 1m", f.timeout)}
	}
	trust, err := f.trust.load()
	if err != nil {
		return usageError{err}
	}
	var token func(string) (string, error)
	if f.token != "" {
		token = func(string) (string, error) { return f.token, nil }
	}

	// The first ^C ends the checks, which then say goodbye to the box and remove what they copied.
	// A second ^C ends the process. A closed terminal or a pipe without a reader counts as a ^C.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	signal.Ignore(syscall.SIGPIPE)
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	print := &printer{out: cmd.OutOrStdout(), colors: !f.json && colorful(cmd.OutOrStdout()), unread: leave}
	d := doctor.New(nil)
	if !f.json {
		d = doctor.New(print.check)
	}
	if len(args) == 1 {
		u, err := boxURL(args[0])
		if err != nil {
			return usageError{err}
		}
		d.Client(ctx, doctor.Options{URL: u, Token: token, TLS: trust, Timeout: f.timeout})
	} else {
		cfg, err := g.config()
		if err != nil {
			return err
		}
		dir, err := g.statePath()
		if err != nil {
			return err
		}
		d.Host(ctx, doctor.HostOptions{Config: cfg, State: dir, As: serviceUser(dir), Token: token, TLS: trust,
			Timeout: f.timeout})
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	report := d.Report()
	if f.json {
		err = term.JSON(cmd.OutOrStdout(), report)
	} else {
		err = print.summary(report)
	}
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("%s failed", count(report.Failed, "check"))
	}
	return err
}

// printer writes each check when it ends.
type printer struct {
	out    io.Writer
	colors bool
	unread func() // called when nobody reads the output any more
	n      int
}

// colorful reports whether colors are welcome (no-color.org).
func colorful(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && terminal(w) }

// terminal reports whether somebody sees w on a terminal that knows how to go back.
func terminal(w io.Writer) bool {
	f, is := w.(*os.File)
	if !is || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *printer) check(c doctor.Check) {
	p.n++
	verdict := fmt.Sprintf("%-7s", c.Verdict)
	if color, has := map[doctor.Verdict]string{doctor.Failed: "31", doctor.Warning: "33",
		doctor.Skipped: "2"}[c.Verdict]; has && p.colors {
		verdict = "\x1b[" + color + "m" + verdict + "\x1b[0m"
	}
	text := fmt.Sprintf("%3d  %s  %-34s  %s\n", p.n, verdict, c.Name, c.Detail)
	if c.Fix != "" {
		text += fmt.Sprintf("%14s-> %s [%s]\n", "", c.Fix, c.Code)
	}
	if _, err := io.WriteString(p.out, text); err != nil {
		p.unread()
	}
}

func (p *printer) summary(r doctor.Report) error {
	_, err := fmt.Fprintf(p.out, "\n%s: %d failed, %s. %s\n", count(len(r.Checks), "check"), r.Failed,
		count(r.Warnings, "warning"), r.Verdict)
	return err
}

// count writes a number of things.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
