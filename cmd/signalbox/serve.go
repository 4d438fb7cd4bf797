package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/garbage"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"signalbox"
)

func serveCommand(g *global) *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "Serve until SIGINT or SIGTERM (the default command)", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, g) },
	}
	g.strictFlag(c)
	return c
}

// strictFlag is of the commands that serve.
func (g *global) strictFlag(c *cobra.Command) {
	c.Flags().BoolVar(&g.strict, "strict", false, "a reload (SIGHUP) with a key that needs a restart changes "+
		"nothing;\nwithout this it changes all others")
}

func serve(cmd *cobra.Command, g *global) error {
	cfg, given, err := config.LoadGiven(signalbox.DefaultConfig, g.load)
	if err != nil {
		return usageError{err}
	}
	dir, err := g.openState()
	if err != nil {
		return err
	}
	log, words, lines := logger(cfg, cmd.ErrOrStderr())
	defer lines.close(farewell)
	defer garbage.Bound()()
	box, err := signalbox.New(cfg, dir, log)
	if err != nil {
		return startError(err)
	}
	// From here on the program is there for others, who may want to end it.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	re := &rereader{g: g, box: box, words: words, log: log, given: given}
	box.Reread, box.LostLines = re.read, lines.Lost
	leaving := make(chan struct{})
	box.Leave = sync.OnceFunc(func() { close(leaving) })
	box.Effective = re.effective
	if err := box.Listen(); err != nil {
		return startError(err)
	}
	defer greet(box, cmd.OutOrStdout(), log)()

	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	var own sync.WaitGroup
	own.Go(func() { re.readOn(ctx, hangups) })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		waitForEnd(ctx, signals, leaving, box, time.Duration(cfg.Drain.Timeout), log, lines)
		stop()
	}()
	sdNotify(daemon.SdNotifyReady, log)
	own.Go(func() { keepWatchdog(ctx, box, log) })
	err = box.Run(ctx)
	stop()
	<-stopped
	own.Wait()
	return err
}

// greet prints what an operator needs after a start, while the box serves: nobody may read it. The
// func that it returns waits for it, for some time.
func greet(box *signalbox.App, out io.Writer, log *slog.Logger) (wait func()) {
	var text bytes.Buffer
	err := box.Welcome(&text)
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		if err == nil {
			_, err = text.WriteTo(out)
		}
		if err != nil {
			log.Warn("print the welcome", "err", err)
		}
	}()
	return func() {
		select {
		case <-printed:
		case <-time.After(farewell):
		}
	}
}

// startError is why serving could not begin. What may pass by itself is no error of the set-up: a
// service manager then tries again.
func startError(err error) error {
	passes := []error{syscall.EADDRNOTAVAIL, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE,
		syscall.ENOBUFS, syscall.ENOMEM, syscall.EIO}
	if slices.ContainsFunc(passes, func(passing error) bool { return errors.Is(err, passing) }) {
		return err
	}
	return usageError{err}
}

// rereader reads the configuration again. If it can't use the new one, the old one stays in force.
type rereader struct {
	g     *global
	box   *signalbox.App
	words *logWords
	log   *slog.Logger

	mu    sync.Mutex   // one reading at a time, as systemd is told
	given config.Given // what is in force
}

// effective returns what is in force as TOML, without secrets.
func (r *rereader) effective() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.given.TOML()
}

// readOn reads at every signal.
func (r *rereader) readOn(ctx context.Context, hangups chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		r.read() //nolint:errcheck // it has been logged
	}
}

// read reads once. Its error is logged, and returned for who has asked.
func (r *rereader) read() (done signalbox.Reloaded, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sdNotify(daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec(), r.log)
	defer sdNotify(daemon.SdNotifyReady, r.log)
	cfg, given, err := config.LoadGiven(signalbox.DefaultConfig, r.g.load)
	if err == nil {
		done, err = r.box.Reload(cfg, r.g.strict)
	}
	if err != nil {
		r.log.Error("reload: the old configuration stays in force", "err", err)
		return done, err
	}
	r.words.apply(cfg)
	given.Keep(r.given, done.NeedRestart)
	r.given = given
	r.log.Info("reloaded", "changed", done.Changed)
	if len(done.NeedRestart) > 0 {
		r.log.Warn("reload: keys that need a restart keep their old values", "keys", done.NeedRestart)
	}
	return done, nil
}

// waitForEnd returns when serving should end. SIGTERM and leaving, which the admin API closes, let
// allocations finish first; SIGINT does not. A second signal kills the process at once: whoever
// sends the first after leaving need not know of that.
func waitForEnd(ctx context.Context, signals chan os.Signal, leaving chan struct{}, box *signalbox.App,
	drain time.Duration, log *slog.Logger, lines *lineQueue) {
	why, waits, first := "the admin API", true, true
	select {
	case <-ctx.Done():
		return
	case <-leaving:
	case sig := <-signals:
		why, waits, first = sig.String(), sig == syscall.SIGTERM, false
	}
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	go func() {
		if first && <-signals != syscall.SIGTERM {
			cancel()
		}
		sig := <-signals
		log.Warn("stopping at once: a second signal", "signal", sig.String())
		lines.close(farewell)
		os.Exit(exitFailed)
	}()
	sdNotify(daemon.SdNotifyStopping, log)
	if !waits || drain == 0 {
		log.Info("stopping", "why", why)
		return
	}
	log.Info("draining: no new allocations; a second signal stops at once", "why", why, "timeout", drain.String())
	box.Drain(ctx)
}

// keepWatchdog tells systemd that the box is alive, twice as often as the unit's WatchdogSec asks.
// It first asks for the box's numbers, and has the relay's goroutines go on: where a lock is never
// given back, or one of those waits for something, the box is not called alive.
func keepWatchdog(ctx context.Context, box *signalbox.App, log *slog.Logger) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	tick := time.NewTicker(every / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if box.Touch(ctx) == nil {
				sdNotify(daemon.SdNotifyWatchdog, log)
			}
		}
	}
}

func sdNotify(state string, log *slog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("tell systemd", "state", state, "err", err)
	}
}
