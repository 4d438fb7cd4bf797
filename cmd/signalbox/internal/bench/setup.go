package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/turnclient"
)

const (
	stepWait    = 5 * time.Second // for one request
	atOnce      = 16              // requests under way at set-up
	closeWait   = 5 * time.Second // for all allocations to end
	spare       = 30 * time.Second
	firstNumber = 0x4000 // of channels, RFC 8656 §12
)

// client has an allocation.
type client struct {
	*turnclient.Client
	relay  netip.AddrPort
	peer   netip.AddrPort // that it sends to, and
	from   *udpSocket     // its socket
	conn   net.Conn
	rest   []byte     // read from a stream before it was handed over
	socket *udpSocket // of conn, unless that is a stream
}

// rig is all that a run has opened.
type rig struct {
	o       *Options
	clients []*client
	peers   []*udpSocket  // and those of the control
	control []flow        // from us to us, past the server
	took    time.Duration // to allocate and permit
}

// each does something for each of n, for some at once, until one fails.
func each(ctx context.Context, n, atOnce int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(atOnce, n) {
		working.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	working.Wait()
	return context.Cause(ctx)
}

// open allocates for every client, opens the peers, and lets both through to each other. life
// bounds the connections. progress is told how many steps of all are done.
func (g *rig) open(life context.Context, progress func(done, of int)) error {
	g.clients = make([]*client, g.o.Clients)
	began := time.Now()
	var done atomic.Int64
	step := func(do func(context.Context, int) error) func(context.Context, int) error {
		return func(ctx context.Context, i int) error {
			within, cancel := context.WithTimeout(ctx, stepWait)
			defer cancel()
			if err := do(within, i); err != nil {
				return fmt.Errorf("client %d of %d: %w", i+1, g.o.Clients, err)
			}
			progress(int(done.Add(1)), 2*g.o.Clients)
			return nil
		}
	}
	if err := each(life, len(g.clients), atOnce, step(func(within context.Context, i int) error {
		return g.allocate(life, within, i)
	})); err != nil {
		return err
	}
	if err := g.openPeers(); err != nil {
		return err
	}
	if err := each(life, len(g.clients), atOnce, step(g.permit)); err != nil {
		return err
	}
	g.took = time.Since(began)
	if err := g.openControl(); err != nil {
		return err
	}
	for _, c := range g.clients {
		if err := c.takeOver(); err != nil {
			return err
		}
	}
	return nil
}

func (g *rig) allocate(life, within context.Context, i int) error {
	user, password, err := g.o.Credential(i)
	if err != nil {
		return err
	}
	c := &client{}
	if c.Client, err = turnclient.Dial(life, within, g.o.Server, g.o.TLS); err != nil {
		return g.explain(err, netip.AddrPort{})
	}
	g.clients[i] = c
	c.Login(user, password)
	need := g.o.WarmUp + g.o.Duration + spare
	like := g.o.PeerIP
	if !like.IsValid() {
		like = g.o.Server.Addr.Addr()
	}
	if c.relay, err = c.Allocate(within, like, 2*need); err != nil {
		return g.explain(err, netip.AddrPort{})
	}
	c.Rest() // for the others to allocate
	if granted := c.Granted(); granted < need {
		return fmt.Errorf("the server lets an allocation live for %s, and the run needs %s: shorten --duration",
			granted, need)
	}
	return nil
}

// openPeers opens the peers' sockets. Unless told otherwise they are fewer than clients, as many as
// there are processors, since they are the generator's cost.
func (g *rig) openPeers() error {
	if g.o.ToRelay {
		for i, c := range g.clients {
			c.peer = g.clients[i^1].relay
		}
		return nil
	}
	ip := g.o.PeerIP
	if !ip.IsValid() {
		ip = g.clients[0].LocalIP()
	}
	sockets := g.o.Peers
	if sockets == 0 {
		sockets = min(len(g.clients), runtime.GOMAXPROCS(0), 8)
	}
	for range sockets {
		if _, err := g.openPeer(ip); err != nil {
			return err
		}
	}
	for i, c := range g.clients {
		c.from = g.peers[i%len(g.peers)]
		c.peer = netip.AddrPortFrom(ip, c.from.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	}
	return nil
}

// controlRate is how many packets a second go past the server: few, so that they cost nothing.
const controlRate = 200

// openControl opens a way past the server. What is late there is late for reasons that are not the
// server's: this machine is busy.
func (g *rig) openControl() error {
	sink, err := g.openPeer(g.clients[0].LocalIP())
	if err != nil {
		return err
	}
	source, err := g.openPeer(g.clients[0].LocalIP())
	if err != nil {
		return err
	}
	g.control = []flow{{socket: source, to: sink.LocalAddr().(*net.UDPAddr).AddrPort()}}
	return nil
}

// openPeer opens a socket that relays, or we, send to.
func (g *rig) openPeer(ip netip.Addr) (*udpSocket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil { // an address that a NAT translates
		conn, err = net.ListenUDP("udp", nil)
	}
	if err != nil {
		return nil, err
	}
	const buffer = 4 << 20
	s, err := openSocket(conn, buffer)
	if err != nil {
		conn.Close()
		return nil, err
	}
	g.peers = append(g.peers, s)
	return s, nil
}

func (g *rig) permit(within context.Context, i int) error {
	c := g.clients[i]
	var err error
	if g.o.Send {
		err = c.Permit(within, c.peer)
	} else {
		err = c.Bind(within, c.peer, firstNumber)
	}
	if err != nil {
		return g.explain(err, c.peer)
	}
	return nil
}

// takeOver takes the connection from the TURN client, for data.
func (c *client) takeOver() (err error) {
	c.conn, c.rest = c.Handover()
	if udp, is := c.conn.(*net.UDPConn); is {
		const buffer = 1 << 20
		c.socket, err = openSocket(udp, buffer)
	}
	return err
}

// flows are what is sent in one direction.
func (g *rig) flows(d Direction) (out []flow) {
	for i, c := range g.clients {
		switch {
		case g.o.ToRelay && (i%2 == 0) == (d == Up), !g.o.ToRelay && d == Up:
			f := flow{socket: c.socket}
			if c.socket == nil {
				f.stream = c.conn
			}
			if g.o.Send {
				f.framing = sendIndication(c.peer, g.o.Size)
			} else {
				f.framing = channelData(firstNumber, g.o.Size, c.socket == nil)
			}
			out = append(out, f)
		case !g.o.ToRelay:
			out = append(out, flow{socket: c.from, to: c.relay})
		}
	}
	return out
}

// sends are senders for each direction, and for what goes past the server.
func (g *rig) sends(r *run) (all []sending) {
	for way, d := range g.o.directions() {
		all = append(all, newSender(r, way, g.flows(d), g.o))
	}
	return append(all, newSender(r, control, g.control, &Options{Rate: controlRate, Burst: 1}))
}

// receive starts a receiver for each socket. Each ends once interrupt was called.
func (g *rig) receive(r *run, receiving *sync.WaitGroup) {
	p := new(inboxes)
	for _, s := range g.peers {
		receiving.Go(func() { r.atPeer(s, p) })
	}
	for _, c := range g.clients {
		receiving.Go(func() {
			if c.socket != nil {
				r.atClient(c.socket, p)
			} else {
				r.atStream(c.conn, c.rest)
			}
		})
	}
}

// interrupt ends what reads or writes.
func (g *rig) interrupt() {
	past := time.Unix(1, 0)
	for _, s := range g.peers {
		s.SetDeadline(past)
	}
	for _, c := range g.clients {
		if c != nil && c.conn != nil {
			c.conn.SetDeadline(past)
		}
	}
}

// close ends the allocations, as far as there is time, and closes everything.
func (g *rig) close() {
	for _, s := range g.peers {
		s.Close()
	}
	over := time.Now().Add(closeWait)
	//nolint:errcheck // none fails
	each(context.Background(), len(g.clients), 4*atOnce, func(_ context.Context, i int) error {
		switch c := g.clients[i]; {
		case c == nil:
		case time.Now().Before(over):
			c.Close()
		default:
			c.Drop()
		}
		return nil
	})
}
