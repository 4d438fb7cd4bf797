package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

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
	cfg, err := g.config()
	if err != nil {
		return err
	}
	dir, err := g.openState()
	if err != nil {
		return err
	}
	log, words := logger(cfg, cmd.ErrOrStderr())
	defer garbage.Bound()()
	box, err := signalbox.New(cfg, dir, log)
	if err != nil {
		return usageError{err}
	}
	// From here on the program is there for others, who may want to end it.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	if err := box.Listen(); err != nil {
		return usageError{err}
	}
	if err := box.Welcome(cmd.OutOrStdout()); err != nil {
		log.Warn("print the welcome", "err", err)
	}

	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	var reloads sync.WaitGroup
	reloads.Go(func() { reloadOn(ctx, hangups, g, box, words, log) })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		waitForEnd(ctx, signals, box, time.Duration(cfg.Drain.Timeout), log)
		stop()
	}()
	notifySystemd(ctx, log)
	err = box.Run(ctx)
	stop()
	<-stopped
	reloads.Wait()
	return err
}

// reloadOn reads the configuration again at every signal. If it can't use the new one, the old one
// stays in force.
func reloadOn(ctx context.Context, hangups chan os.Signal, g *global, box *signalbox.App, words *logWords,
	log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		sdNotify(daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec(), log)
		cfg, err := signalbox.Load(g.load)
		var done signalbox.Reloaded
		if err == nil {
			done, err = box.Reload(cfg, g.strict)
		}
		if err != nil {
			log.Error("reload: the old configuration stays in force", "err", err)
		} else {
			words.apply(cfg)
			log.Info("reloaded", "changed", done.Changed)
		}
		if len(done.NeedRestart) > 0 {
			log.Warn("reload: keys that need a restart keep their old values", "keys", done.NeedRestart)
		}
		sdNotify(daemon.SdNotifyReady, log)
	}
}

// waitForEnd returns when serving should end. SIGTERM first lets allocations finish, SIGINT does
// not. A further signal kills the process at once.
func waitForEnd(ctx context.Context, signals chan os.Signal, box *signalbox.App, drain time.Duration,
	log *slog.Logger) {
	var sig os.Signal
	select {
	case <-ctx.Done():
		return
	case sig = <-signals:
	}
	go func() {
		sig := <-signals
		log.Warn("stopping at once: a second signal", "signal", sig.String())
		os.Exit(exitFailed)
	}()
	sdNotify(daemon.SdNotifyStopping, log)
	if sig != syscall.SIGTERM || drain == 0 {
		log.Info("stopping", "signal", sig.String())
		return
	}
	log.Info("draining: no new allocations; a second signal stops at once", "signal", sig.String(), "timeout",
		drain.String())
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	box.Drain(ctx)
}

// notifySystemd tells systemd that the service is up, and then that it is alive, as often as the
// unit's WatchdogSec asks.
func notifySystemd(ctx context.Context, log *slog.Logger) {
	sdNotify(daemon.SdNotifyReady, log)
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	go func() {
		tick := time.NewTicker(every / 2)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				sdNotify(daemon.SdNotifyWatchdog, log)
			}
		}
	}()
}

func sdNotify(state string, log *slog.Logger) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("tell systemd", "state", state, "err", err)
	}
}
