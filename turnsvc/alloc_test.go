//go:build !race

package turnsvc

import (
	"net/netip"
	"testing"
)

// The race detector allocates, so scripts/test runs this file once without it.
func TestLaneAllocatesNothing(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	peer := r.peer()
	at := peer.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
	c.allocate()
	c.ok(methodChannelBind, withChannel(0x4000), withPeer(at.String()))
	src := addrPort(c.conn.LocalAddr())
	var link link
	var a *allocation
	for _, a = range r.s.books.list() {
		link = a.link
	}
	in := &inlet{link: link}
	buf := new(buffer)
	frame := func(b []byte) packet { return packet{buf[:], headroom, copy(buf[headroom:], b)} }
	channel, send := c.channelFrame(0x4000, "some data"), c.sendFrame(at.String(), "some data")
	binding := (&client{t: t}).build(methodBinding)
	for name, f := range map[string]func(){
		"ChannelData to the peer":   func() { r.s.receive(in, frame(channel), src) },
		"Send indication":           func() { r.s.receive(in, frame(send), src) },
		"ChannelData to the client": func() { a.fromPeer(packet{buf[:], headroom, 9}, at, r.s.clock.now()) },
		"Data indication": func() {
			a.fromPeer(packet{buf[:], headroom, 9}, netip.AddrPortFrom(at.Addr(), 9), r.s.clock.now())
		},
		"Binding": func() { r.s.receive(in, frame(binding), src) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
