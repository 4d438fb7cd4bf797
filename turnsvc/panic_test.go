package turnsvc

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// brittleLink breaks on the first data for its client.
type brittleLink struct {
	wirelessLink
	broken atomic.Bool
}

func (*brittleLink) run(wire.Run, uint16, netip.AddrPort, *socket.RunLimit) (p, b int, ok bool) {
	return p, b, ok
}

func (l *brittleLink) data(frame []byte, to netip.AddrPort) bool {
	if frame[1] == wire.MethodData|wire.ClassIndication && !l.broken.Swap(true) {
		panic("of a test")
	}
	return l.wirelessLink.data(frame, to)
}

func TestRelayReadsOnAfterAPanic(t *testing.T) {
	r := newRig(t, nil)
	src := netip.MustParseAddrPort("127.0.0.1:9")
	l := &brittleLink{wirelessLink: wirelessLink{client: src}}
	in, buf := &inlet{link: l}, new(wire.Buffer)
	c := &client{t: t, user: "u", key: cred.LongTermKey("u", testRealm, "p"),
		nonce: r.s.gate.challenges.nonces.append(nil, src.Addr(), r.s.core.clock.wall())}
	peer := r.peer()
	for _, frame := range [][]byte{c.build(wire.MethodAllocate, withUDP),
		c.build(wire.MethodCreatePermission, withPeer(peer.LocalAddr().String()))} {
		r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), src)
		r.inBooks(func() int { return 0 })
	}
	if got := len(l.take()); got != 2 {
		t.Fatalf("%d answers", got)
	}
	say := func() {
		if _, err := peer.WriteToUDPAddrPort([]byte("hello"), l.a.Load().relay.Addr); err != nil {
			t.Fatal(err)
		}
	}
	say()
	eventually(t, "it is counted", func() bool { return r.s.core.counters.drops[dropPanic].Swap(0) == 1 })
	say()
	eventually(t, "the next datagram passes", func() bool { return len(l.take()) == 1 })
}

// brittleConn breaks on its first Read, or on its first Write.
type brittleConn struct {
	net.Conn
	onRead bool
}

func (c brittleConn) Read(b []byte) (int, error) {
	if c.onRead {
		panic("of a test")
	}
	return c.Conn.Read(b)
}

func (brittleConn) Write([]byte) (int, error) { panic("of a test") }

func TestPanicEndsOneStreamOnly(t *testing.T) {
	r := newRig(t, nil)
	bystander := r.dial("tcp", "u", "p")
	bystander.allocate()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, onRead := range []bool{true, false} {
		conn, err := net.Dial("tcp4", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		served, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r.clientOn(conn, "tcp").write((&client{}).build(wire.MethodBinding))
		r.s.ServeConn(brittleConn{served, onRead}, "tcp")
		if n := r.s.core.counters.drops[dropPanic].Swap(0); n != 1 {
			t.Errorf("on read: %v: %d panics counted", onRead, n)
		}
	}
	if n := r.s.streams.count(); n != 1 {
		t.Errorf("%d streams", n)
	}
	bystander.ok(wire.MethodRefresh)
}
