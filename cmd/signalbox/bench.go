package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the REST convention is HMAC-SHA1
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/cmd/signalbox/internal/bench"
	"signalbox/internal/app"
	"signalbox/internal/turnclient"
)

func benchCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Load a server and measure what it takes", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(benchTURNCommand(g), benchSignalCommand())
	return cmd
}

// benchTURNFlags are the flags of bench turn.
type benchTURNFlags struct {
	server, transport      string
	user, password, secret string
	to, direction, via     string
	peerIP                 string
	load                   string
	full                   bool
	output                 benchOutput
	trust                  trustFlags
	o                      bench.Options
}

func benchTURNCommand(g *global) *cobra.Command {
	var f benchTURNFlags
	cmd := &cobra.Command{
		Use: "turn", Short: "Load a TURN server and measure it", Args: noArgs,
		Long: `turn loads a TURN server, this one or another, with clients that each have an allocation, and says
how many packets arrive, how late, and how many are lost. The generator is both ends, clients and
peers. It sends to the server and, through it, to itself, and for a minute at most.

Credentials: --user and --password, or --secret, with which turn makes a user for each client
(turn.secret of signalbox, static-auth-secret of coturn). Without any it uses the secret of this
machine's configuration (-c, --set, --state), as creds does.

Data goes from relay to relay, which no setting closes, or to peers. Peers are sockets of this
machine, at the address from which it reaches the server; --peer-ip names another one that the server
can reach. Servers don't relay to everywhere:
- to loopback signalbox relays only with --dev, coturn only with allow-loopback-peers;
- to a private network signalbox relays if turn.allow_peers holds it, or if turn.static_peers is
  "any"; never to other addresses of its own machine.

More than 1,024 clients need a higher turn.limits.per_source at signalbox, and more than 128 of one
--user a higher turn.limits.per_user.

Latency is one way, from socket to socket, with the network and the generator's own waking up; "past
it" are a few packets that turn sends itself meanwhile, not through the server. CPU time and memory
are those of --pid, a process of this machine.`,
		Example: `  signalbox bench turn --server turn:turn.example.org --user u --password p
  signalbox bench turn --to peer --direction both --load audio --clients 100 --pid $(pidof signalbox)
  signalbox bench turn --server 192.0.2.1 --transport tcp --secret S --full --html report.html`,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, g) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "127.0.0.1", "a turn: or turns: `URL`, or a host with or without a port")
	flags.StringVar(&f.transport, "transport", "", "reach it by udp, tcp or tls, whatever the URL says")
	flags.StringVar(&f.user, "user", "", "log in as this user")
	flags.StringVar(&f.password, "password", "", "and with this password")
	flags.StringVar(&f.secret, "secret", "", "make credentials with this secret")
	f.trust.register(cmd)
	flags.IntVar(&f.o.Clients, "clients", 20, "how many allocations")
	flags.StringVar(&f.to, "to", "relay", "send through the relay to a peer, or to another client's relay: peer or "+
		"relay")
	flags.StringVar(&f.peerIP, "peer-ip", "", "the `address` at which the server reaches this machine")
	flags.IntVar(&f.o.Peers, "peers", 0, "sockets that stand for the peers, in turns (default: one for each "+
		"processor);\na server whose allocations share a port (coturn's --multiplex-peer) wants one for each client")
	flags.StringVar(&f.direction, "direction", "up", "up (from clients), down (to clients) or both; from relay to "+
		"relay,\nboth is to and fro")
	flags.StringVar(&f.via, "via", "channels", "data as ChannelData or as Send indications: channels or send")
	flags.StringVar(&f.load, "load", "video", "video: bursts of 9 packets of 1200 bytes; audio: single packets of 160 "+
		"bytes,\nfrom one client after the other")
	flags.IntVar(&f.o.Size, "size", 0, "bytes of a payload (default: as --load has it)")
	flags.IntVar(&f.o.Burst, "burst", 0, "packets that a client sends at once (default: as --load has it)")
	flags.IntVar(&f.o.Rate, "rate", 10000, "packets a second in each direction, over all clients")
	flags.BoolVar(&f.full, "full", false, "send as fast as possible, whatever --rate says")
	flags.BoolVar(&f.o.NoSegments, "no-gso", false, "hand each datagram to the kernel by itself, without UDP_SEGMENT")
	flags.DurationVar(&f.o.Duration, "duration", 5*time.Second, "how long to measure, up to 1m")
	flags.DurationVar(&f.o.WarmUp, "warm-up", time.Second, "how long to send before that, up to 10s")
	flags.IntVar(&f.o.PID, "pid", 0, "also measure CPU time and memory of this process, the server's (Linux)")
	f.output.register(cmd)
	return cmd
}

// prepare turns flags into options, but for the server's address.
func (f *benchTURNFlags) prepare(g *global) error {
	f.o.Direction = bench.Direction(f.direction)
	size, burst := 1200, 9
	switch f.load {
	case "video":
	case "audio":
		size, burst = 160, 1
	default:
		return fmt.Errorf("--load %q: want video or audio", f.load)
	}
	if f.o.Size == 0 {
		f.o.Size = size
	}
	if f.o.Burst == 0 {
		f.o.Burst = burst
	}
	if f.o.Rate == 0 {
		return errors.New("--rate 0: for as fast as possible say --full")
	}
	if f.full {
		f.o.Rate = 0
	}
	if f.to != "peer" && f.to != "relay" {
		return fmt.Errorf("--to %q: want peer or relay", f.to)
	}
	if f.via != "channels" && f.via != "send" {
		return fmt.Errorf("--via %q: want channels or send", f.via)
	}
	f.o.ToRelay, f.o.Send = f.to == "relay", f.via == "send"
	if f.peerIP != "" {
		ip, err := netip.ParseAddr(f.peerIP)
		if err != nil {
			return fmt.Errorf("--peer-ip: %w", err)
		}
		f.o.PeerIP = ip.Unmap()
	}
	var err error
	if f.o.TLS, err = f.trust.load(); err != nil {
		return err
	}
	if f.o.Credential, err = f.credentials(g); err != nil {
		return err
	}
	return f.o.Check()
}

// address reads --server and --transport, and looks the host up.
func (f *benchTURNFlags) address(ctx context.Context) (turnclient.Address, error) {
	text := f.server
	if !strings.HasPrefix(text, "turn:") && !strings.HasPrefix(text, "turns:") {
		text = "turn:" + text
		if ip, err := netip.ParseAddr(f.server); err == nil && ip.Is6() {
			text = "turn:[" + f.server + "]"
		}
		if f.transport == "tls" {
			text = "turns" + strings.TrimPrefix(text, "turn")
		}
	}
	a, err := turnclient.ParseURL(text)
	if err != nil {
		return a, usageError{fmt.Errorf("--server: %w", err)}
	}
	if f.transport != "" {
		if !slices.Contains([]string{"udp", "tcp", "tls"}, f.transport) {
			return a, usageError{fmt.Errorf("--transport %q: want udp, tcp or tls", f.transport)}
		}
		a.Transport = f.transport
	}
	found, err := a.At(ctx)
	if err != nil {
		return a, fmt.Errorf("--server %s: %w", f.server, err)
	}
	for _, one := range found {
		if !f.o.PeerIP.IsValid() || one.Addr.Addr().Is4() == f.o.PeerIP.Is4() {
			return one, nil
		}
	}
	return found[0], nil
}

// credentials returns what makes each client's username and password.
func (f *benchTURNFlags) credentials(g *global) (func(int) (string, string, error), error) {
	const ttl = time.Hour
	label := func(client int) string { return fmt.Sprintf("bench-%d", client) }
	switch {
	case f.secret != "" && (f.user != "" || f.password != ""):
		return nil, errors.New("--secret, or --user and --password: choose one")
	case f.secret != "":
		return func(client int) (string, string, error) {
			user := fmt.Sprintf("%d:%s", time.Now().Add(ttl).Unix(), label(client))
			sum := hmac.New(sha1.New, []byte(f.secret))
			io.WriteString(sum, user)
			return user, base64.StdEncoding.EncodeToString(sum.Sum(nil)), nil
		}, nil
	case f.user != "":
		return func(int) (string, string, error) { return f.user, f.password, nil }, nil
	case f.password != "":
		return nil, errors.New("--password: whose? Name a --user")
	}
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	dir, err := g.existingState()
	if err != nil {
		return nil, err
	}
	if _, err := app.MintCredential(&cfg, dir, label(0), ttl); err != nil {
		return nil, fmt.Errorf("there is neither --user nor --secret, and this machine has no secret: %w",
			stateError(err))
	}
	return func(client int) (string, string, error) {
		c, err := app.MintCredential(&cfg, dir, label(client), ttl)
		return c.Username, c.Password, err
	}, nil
}

func (f *benchTURNFlags) run(cmd *cobra.Command, g *global) error {
	if err := f.prepare(g); err != nil {
		return usageError{err}
	}
	return f.output.run(cmd, func(ctx context.Context, progress func(bench.Progress)) (*bench.Report, error) {
		var err error
		if f.o.Server, err = f.address(ctx); err != nil {
			return nil, err
		}
		f.o.Progress = progress
		return bench.Run(ctx, f.o)
	})
}
