package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"signalbox/cmd/signalbox/internal/bench"
	"signalbox/internal/term"
)

// benchOutput is how a report comes out.
type benchOutput struct {
	json bool
	html string
}

func (f *benchOutput) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.html, "html", "", "also write a page with plots to this `file`")
}

// run loads something, until it is done or interrupted, and writes what is reported.
func (f *benchOutput) run(cmd *cobra.Command,
	load func(context.Context, func(bench.Progress)) (*bench.Report, error)) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second ^C ends the process
	// Senders wait in the kernel, where each holds a processor of Go's for a while: on one core the
	// receivers would wait, too.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4))
	live := newLiveLine(cmd.ErrOrStderr())
	report, err := load(ctx, live.progress)
	live.clear()
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if f.json {
		err = term.JSON(cmd.OutOrStdout(), report)
	} else {
		err = report.Text(cmd.OutOrStdout())
	}
	return errors.Join(err, f.writePage(report))
}

// writePage writes what --html asks for.
func (f *benchOutput) writePage(report *bench.Report) error {
	if f.html == "" {
		return nil
	}
	page, err := os.Create(f.html)
	if err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	if err := errors.Join(report.Page(page), page.Close()); err != nil {
		return fmt.Errorf("--html: %w", err)
	}
	return nil
}

// liveLine is a line of a terminal that is written again and again. Elsewhere it says nothing.
type liveLine struct {
	out   io.Writer
	last  time.Time
	phase string
}

func newLiveLine(out io.Writer) *liveLine {
	if !terminal(out) {
		out = nil
	}
	return &liveLine{out: out}
}

func (l *liveLine) progress(p bench.Progress) {
	const often = 100 * time.Millisecond
	if l.out == nil || p.Phase == l.phase && time.Since(l.last) < often {
		return
	}
	l.last, l.phase = time.Now(), p.Phase
	const width = 20
	done := int(p.Part * width)
	text := fmt.Sprintf("%-9s [%s%s]", p.Phase, strings.Repeat("#", done), strings.Repeat(".", width-done))
	switch p.Phase {
	case "set-up":
		text += fmt.Sprintf(" %.0f requests a second", p.PerSecond)
	case "measuring":
		text += fmt.Sprintf(" %.0f/s  p50 %s  p99 %s", p.PerSecond, p.P50.Round(time.Microsecond),
			p.P99.Round(time.Microsecond))
		if p.Cores > 0 {
			text += fmt.Sprintf("  %.2f cores", p.Cores)
		}
	}
	fmt.Fprint(l.out, "\r\x1b[K", text)
}

func (l *liveLine) clear() {
	if l.out != nil && l.phase != "" {
		fmt.Fprint(l.out, "\r\x1b[K")
	}
}
