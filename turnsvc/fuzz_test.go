package turnsvc

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// The states that a client can be in. Fuzz targets reach each of them.
const (
	stateStranger = iota
	stateAllocation
	statePermission
	stateChannel
	stateChannelIPv6
	stateReservation // of an EVEN-PORT
	stateNeighbour   // a channel to a relay of the box itself
	stateEnded
	states
)

// wirelessLink is a client without a network: what it is sent is kept.
type wirelessLink struct {
	client netip.AddrPort
	a      atomic.Pointer[allocation]
	mu     sync.Mutex
	sent   [][]byte
}

func (l *wirelessLink) send(frame []byte, _ netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, append([]byte(nil), frame...))
}
func (l *wirelessLink) take() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}
func (*wirelessLink) run(wire.Run, uint16, netip.AddrPort, *socket.RunLimit) (p, b int, ok bool) {
	return p, b, ok
}

func (l *wirelessLink) data(frame []byte, to netip.AddrPort) bool     { l.send(frame, to); return true }
func (l *wirelessLink) answer(frame []byte, to netip.AddrPort)        { l.send(frame, to) }
func (*wirelessLink) closed() bool                                    { return false }
func (*wirelessLink) close()                                          {}
func (*wirelessLink) answered()                                       {}
func (*wirelessLink) padded() bool                                    { return false }
func (*wirelessLink) transport() string                               { return "fuzz" }
func (*wirelessLink) local() (a netip.AddrPort)                       { return a }
func (l *wirelessLink) allocation(netip.AddrPort) *allocation         { return l.a.Load() }
func (l *wirelessLink) setAllocation(_ netip.AddrPort, a *allocation) { l.a.Store(a) }

// fuzzRig drives a server without sockets between, so that an answer, or that there is none, is
// known at once.
type fuzzRig struct {
	*rig
	serial    uint64
	complaint lines // what the server logs as an error
	neighbor  *fuzzClient
}

func newFuzzRig(f *testing.F) *fuzzRig {
	r := &fuzzRig{}
	r.rig = newRigWith(f, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&r.complaint, &slog.HandlerOptions{Level: slog.LevelError}))
	}, func(s *Server) { s.books.channelTimeout = channelLifetime }) // no channel of pion's runs out amid a run
	r.neighbor = r.client(f)
	r.neighbor.do(wire.MethodAllocate, withUDP, withLifetime(3540))
	return r
}

type fuzzClient struct {
	client
	r    *fuzzRig
	in   *inlet
	link *wirelessLink
	buf  *wire.Buffer
}

func (r *fuzzRig) client(t testing.TB) *fuzzClient {
	r.serial++
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(r.serial >> 24), byte(r.serial >> 16)}),
		uint16(r.serial))
	c := &fuzzClient{r: r, link: &wirelessLink{client: addr}, buf: new(wire.Buffer)}
	c.client = client{t: t, user: "u", key: cred.LongTermKey("u", testRealm, "p"),
		nonce: r.s.gate.challenges.nonces.append(nil, addr.Addr(), r.s.core.clock.wall())}
	c.in = &inlet{link: c.link}
	return c
}

// feed gives the server a frame and returns all that it sends for it.
func (c *fuzzClient) feed(frame []byte) [][]byte {
	c.r.s.front.receive(c.in, c.buf.Packet(copy(c.buf[wire.Headroom:], frame)), c.link.client)
	inBooks(c.t, c.r.s, func() int { return 0 }) // the books have come to it
	return c.link.take()
}

// do makes a request that must succeed.
func (c *fuzzClient) do(method uint16, attrs ...setter) *message {
	c.t.Helper()
	var m message
	for _, frame := range c.feed(c.build(method, attrs...)) {
		if m.Decode(frame) && m.Class == wire.ClassSuccess && m.SignedBy(c.key) {
			return &m
		}
	}
	c.t.Fatalf("method %#x: no success but %d; %s", method, m.code(), c.r.complaint.String())
	return nil
}

// reach brings the client into a state.
func (c *fuzzClient) reach(state byte) {
	c.t.Helper()
	switch state %= states; state {
	case stateStranger:
	case stateChannelIPv6:
		c.do(wire.MethodAllocate, withUDP, withFamily(wire.FamilyIPv6))
		c.do(wire.MethodChannelBind, withChannel(0x4000), withPeer("[::1]:9"))
	case stateReservation:
		c.do(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
	default:
		c.do(wire.MethodAllocate, withUDP)
	}
	switch state {
	case statePermission:
		c.do(wire.MethodCreatePermission, withPeer("127.0.0.1:9"))
	case stateChannel:
		c.do(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9"))
	case stateNeighbour:
		c.do(wire.MethodChannelBind, withChannel(0x4000), withPeer(c.r.neighbor.link.a.Load().relayed.String()))
	case stateEnded:
		c.do(wire.MethodRefresh, withLifetime(0))
	}
}

// leave ends what the client has, and fails if anything went wrong on the way.
func (c *fuzzClient) leave() {
	c.t.Helper()
	if a := c.link.a.Load(); a != nil {
		c.r.s.books.end(a, endKicked)
	}
	inBooks(c.t, c.r.s, func() int {
		b := c.r.s.books
		b.remove()
		for token := range b.reservations {
			b.dropReservation(token) // they would outlast thousands of runs
		}
		return 0
	})
	if c.link.a.Load() != nil {
		c.t.Fatal("an ended allocation stays")
	}
	if n := c.r.s.core.counters.drops[dropPanic].Load(); n != 0 {
		c.t.Fatalf("a panic was recovered: %s", c.r.complaint.String())
	}
	// In particular, pion has agreed with the gate.
	if said := c.r.complaint.String(); said != "" {
		c.t.Fatal(said)
	}
}

// What the gate emits never panics pion, and pion never refuses what the gate has granted, whatever
// the gate is fed: a panic in the engine's goroutine would end the process, and so this test. The
// frames are signed, so that they get past the challenge.
func FuzzGate(f *testing.F) {
	r := newFuzzRig(f)
	for state := range byte(states) {
		f.Add(state, uint16(wire.MethodCreatePermission), []byte{0, 0x12, 0, 8, 0, 1, 0x21, 0x12, 0x5e, 0x12, 0xa4,
			0x43})
		f.Add(state, uint16(wire.MethodChannelBind),
			[]byte{0, 0x0c, 0, 4, 0x40, 0, 0, 0, 0, 0x12, 0, 8, 0, 1, 0x21, 0x12, 0x5e, 0x12, 0xa4, 0x43})
		f.Add(state, uint16(wire.MethodRefresh), []byte{0, 0x0d, 0, 4, 0, 0, 0, 0})
		f.Add(state, uint16(wire.MethodAllocate), []byte{0, 0x19, 0, 4, 17, 0, 0, 0, 0, 0x18, 0, 1, 0x80, 0, 0, 0})
		f.Add(state, uint16(wire.MethodAllocate), []byte{0, 0x19, 0, 4, 17, 0, 0, 0, 0, 0x17, 0, 4, 2, 0, 0, 0, 0,
			0x1a, 0,
			0})
		f.Add(state, uint16(wire.MethodAllocate), []byte{0, 0x19, 0, 4, 17, 0, 0, 0, 0, 0x22, 0, 8, 1, 2, 3, 4, 5, 6,
			7, 8})
	}
	f.Fuzz(func(t *testing.T, state byte, method uint16, attributes []byte) {
		if len(attributes) > 2000 || len(attributes)%4 != 0 {
			return
		}
		c := r.client(t)
		defer c.leave()
		c.reach(state)
		before := c.link.a.Load()
		frame := c.build(method&0xF, func(b *wire.Builder) { b.Buf = append(b.Buf, attributes...) })
		for _, answer := range c.feed(frame) {
			var m message
			if !m.Decode(answer) {
				t.Fatalf("% x is no answer", answer)
			}
			if string(m.TransactionID()) != string(c.tid[:]) ||
				m.Class != wire.ClassSuccess && m.Class != wire.ClassError {
				continue // of the attributes' own making
			}
			if m.Class == wire.ClassSuccess && m.Method != wire.MethodBinding && !m.SignedBy(c.key) {
				t.Fatalf("a success is not signed: % x", answer)
			}
			if after := c.link.a.Load(); m.Class == wire.ClassError && after != before {
				t.Fatalf("a refused request (%d) changed the allocation", m.code())
			}
		}
	})
}

// Any datagram, from a client in any state.
func FuzzFront(f *testing.F) {
	r := newFuzzRig(f)
	c := r.client(f)
	for state := range byte(states) {
		f.Add(state, c.channelFrame(0x4000, "x"))
		f.Add(state, c.sendFrame("127.0.0.1:9", "x"))
		f.Add(state, c.sendFrame("[::1]:9", "x"))
		f.Add(state, c.unsigned(wire.MethodBinding))
		f.Add(state, c.unsigned(wire.MethodAllocate, withUDP))
		f.Add(state, c.build(wire.MethodRefresh))
	}
	f.Fuzz(func(t *testing.T, state byte, frame []byte) {
		if len(frame) > wire.MaxDatagram {
			return
		}
		c := r.client(t)
		defer c.leave()
		c.reach(state)
		for _, answer := range c.feed(frame) {
			if max := 3 * len(frame); c.link.a.Load() == nil && len(answer) > max+20 {
				t.Fatalf("a stranger gets %d bytes for %d", len(answer), len(frame))
			}
		}
		for _, forwarded := range r.neighbor.link.take() {
			var m message
			if forwarded[0]&0xC0 == 0 && !m.Decode(forwarded) {
				t.Fatalf("the neighbor gets % x", forwarded)
			}
		}
	})
}

// Any stream, cut in any two pieces, before or after an Allocate: it ends, and leaves nothing
// behind.
func FuzzStream(f *testing.F) {
	r := newFuzzRig(f)
	nobody := netip.AddrPort{} // whom a pipe comes from
	c := &client{t: f, user: "u", key: cred.LongTermKey("u", testRealm, "p")}
	for _, allocated := range []bool{false, true} {
		f.Add(allocated, c.build(wire.MethodAllocate, withUDP), 3)
		f.Add(allocated, []byte{0x40, 0x00, 0xFF, 0xFC, 1, 2, 3, 4, 5}, 1)
		f.Add(allocated, append(c.build(wire.MethodBinding), 0x40, 0, 0, 1, 'x', 0, 0, 0), 21)
	}
	f.Fuzz(func(t *testing.T, allocated bool, data []byte, cut int) {
		conn, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.s.ServeConn(server, "tcp")
		}()
		if allocated {
			c := &client{t: t, conn: conn, stream: true, user: "u", key: c.key,
				nonce: r.s.gate.challenges.nonces.append(nil, nobody.Addr(), r.s.core.clock.wall())}
			if m := c.answerTo(c.build(wire.MethodAllocate, withUDP)); m.Class != wire.ClassSuccess {
				t.Fatalf("no allocation: %d", m.code())
			}
			conn.SetReadDeadline(time.Time{}) //nolint:errcheck // it is a pipe
		}
		go io.Copy(io.Discard, conn) //nolint:errcheck // it ends with the pipe
		cut = max(0, min(cut, len(data)))
		conn.Write(data[:cut]) //nolint:errcheck // the server may have hung up
		conn.Write(data[cut:]) //nolint:errcheck
		conn.Close()
		<-done
		if n := inBooks(t, r.s, func() int { r.s.books.remove(); return r.s.books.size() }); n > 1 { // the neighbor's
			t.Fatalf("%d allocations are left", n-1)
		}
		if said := r.complaint.String(); said != "" {
			t.Fatal(said)
		}
	})
}
