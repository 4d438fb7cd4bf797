package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/cmd/signalbox/internal/bench"
)

// benchSignalFlags are the flags of bench signal.
type benchSignalFlags struct {
	server, dialect string
	full            bool
	output          benchOutput
	trust           trustFlags
	o               bench.TalkOptions
}

func benchSignalCommand() *cobra.Command {
	var f benchSignalFlags
	cmd := &cobra.Command{
		Use: "signal", Short: "Load a signaling server and measure it", Args: noArgs,
		Long: `signal loads a signaling server, this one or another, with pairs of sessions over WebSockets, each in a
room of its own, and says how many messages arrive, how late, and at what cost. The generator is
both ends. It talks to the server, and for a minute at most.

--dialect native speaks this box's own protocol at /signal. --dialect socketio speaks Socket.IO 5, as
clients 3.x and 4.x do: each session says "vjoin" with a room and a name, and is answered by
"vjoined"; and it says "vdata" with the room and data, which the other one in the room hears as
"vgetdata". /socket.io/ of this box does so, and another server does with a few lines:
  socket.on("vjoin", (room) => { socket.join(room); socket.emit("vjoined", room); });
  socket.on("vdata", (room, data) => socket.to(room).emit("vgetdata", data));

A box with the default limits takes 256 pairs (signal.sessions_per_source = 512) and 100 messages a
second of each session (signal.rate). For more, load one that is there for that:
  signalbox serve --set signal.rate=1000000 --set signal.sessions_per_source=0

Latency is one way, from before a message is given to the system until it was read, with the network
and the generator's own waking up; "past it" are a few that signal sends to itself meanwhile, not
through the server. CPU time and memory are those of --pid, a process of this machine.`,
		Example: `  signalbox bench signal --server https://call.example.org
  signalbox bench signal --pairs 250 --full --pid $(pidof signalbox)
  signalbox bench signal --server http://127.0.0.1:3000 --dialect socketio --idle 1000 --html report.html`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "http://127.0.0.1:8080", "a `URL`, or a host with or without a port")
	flags.StringVar(&f.dialect, "dialect", "native", "what it speaks: native or socketio")
	flags.StringVar(&f.o.Token, "token", "", "for admission: a password, or a token")
	f.trust.register(cmd)
	flags.IntVar(&f.o.Pairs, "pairs", 100, "how many pairs of sessions talk")
	flags.IntVar(&f.o.Idle, "idle", 0, "how many more sessions there are, which say nothing")
	flags.IntVar(&f.o.Size, "size", 1500, "bytes of a message's data")
	flags.IntVar(&f.o.Rate, "rate", 5000, "messages a second, over all sessions")
	flags.BoolVar(&f.full, "full", false, "answer each message by another one at once, whatever --rate says")
	flags.IntVar(&f.o.Window, "window", 8, "with --full, how many messages each session has under way")
	flags.DurationVar(&f.o.Duration, "duration", 5*time.Second, "how long to measure, up to 1m")
	flags.DurationVar(&f.o.WarmUp, "warm-up", time.Second, "how long to talk before that, up to 10s")
	flags.IntVar(&f.o.PID, "pid", 0, "also measure CPU time and memory of this process, the server's (Linux)")
	f.output.register(cmd)
	return cmd
}

// prepare turns flags into options.
func (f *benchSignalFlags) prepare() (err error) {
	switch f.o.Dialect = bench.Dialect(f.dialect); f.o.Dialect {
	case bench.Native, bench.SocketIO:
	default:
		return fmt.Errorf("--dialect %q: want native or socketio", f.dialect)
	}
	if f.o.Rate == 0 {
		return errors.New("--rate 0: for as fast as possible say --full")
	}
	if f.full {
		f.o.Rate = 0
	}
	if f.o.Server, err = f.address(); err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	if f.o.TLS, err = f.trust.load(); err != nil {
		return err
	}
	return f.o.Check()
}

// address reads --server.
func (f *benchSignalFlags) address() (*url.URL, error) {
	text := f.server
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	at, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	switch at.Scheme {
	case "http", "ws":
		at.Scheme = "ws"
	case "https", "wss":
		at.Scheme = "wss"
	default:
		return nil, fmt.Errorf("%q: want http, https, ws or wss", at.Scheme)
	}
	if at.Host == "" {
		return nil, fmt.Errorf("%q has no host", f.server)
	}
	if at.Path == "" || at.Path == "/" {
		at.Path = f.o.Dialect.Path()
	}
	return at, nil
}

func (f *benchSignalFlags) run(cmd *cobra.Command) error {
	if err := f.prepare(); err != nil {
		return usageError{err}
	}
	return f.output.run(cmd, func(ctx context.Context, progress func(bench.Progress)) (*bench.Report, error) {
		f.o.Progress = progress
		return bench.RunTalk(ctx, f.o)
	})
}
