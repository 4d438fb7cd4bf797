//go:build !race

package turnsvc

import (
	"net/netip"
	"strings"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// The race detector allocates, so scripts/test runs this file once without it.
func TestLaneAllocatesNothing(t *testing.T) {
	for family, ip := range map[byte]string{wire.FamilyIPv4: "127.0.0.1", wire.FamilyIPv6: "::1"} {
		t.Run(ip, func(t *testing.T) {
			if family == wire.FamilyIPv6 {
				needIPv6(t)
			}
			r := newRig(t, nil)
			c := r.dial("udp", "u", "p")
			at := wire.AddrPort(r.peerAt(ip).LocalAddr())
			c.allocate(withFamily(family))
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at.String()))
			a := r.s.books.list()[0]
			neighbor := r.dial("udp", "v", "q") // its relay is reached in process
			relay := neighbor.allocate(withFamily(family))
			neighbor.ok(wire.MethodCreatePermission, withPeer(a.relayed.String()))
			c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(relay.String()))

			src := wire.AddrPort(c.conn.LocalAddr())
			in := &inlet{link: a.link}
			buf := new(wire.Buffer)
			frame := func(b []byte) wire.Packet { return buf.Packet(copy(buf[wire.Headroom:], b)) }
			channel, send := c.channelFrame(0x4000, "some data"), c.sendFrame(at.String(), "some data")
			marked := (&wire.Builder{Buf: append([]byte(nil), send...)}).End(true)
			inProcess, binding := c.channelFrame(0x4001, "some data"), (&client{t: t}).build(wire.MethodBinding)
			got := make([]wire.Datagram, 1)
			fromPeer := func(at netip.AddrPort) {
				got[0] = wire.Datagram{Packet: buf.Packet(9), From: at}
				a.fromPeer(got, r.s.core.clock.now())
			}
			many, video := make([]wire.Datagram, 9), strings.Repeat("v", 1200)
			large, largeInProcess := c.channelFrame(0x4000, video), c.channelFrame(0x4001, video)
			together := func(from netip.AddrPort, frame []byte) []wire.Datagram {
				for i := range many {
					off := wire.Headroom + i*len(frame)
					many[i].Packet = wire.Packet{Buf: buf[:], Off: off, N: copy(buf[off:], frame)}
					many[i].From = from
				}
				return many
			}
			for name, f := range map[string]func(){
				"a run to the peer":         func() { r.s.front.receiveAll(in, together(src, large)) },
				"a run to a neighbor":       func() { r.s.front.receiveAll(in, together(src, largeInProcess)) },
				"a run to the client":       func() { a.fromPeer(together(at, large), r.s.core.clock.now()) },
				"ChannelData to the peer":   func() { r.s.front.receive(in, frame(channel), src) },
				"ChannelData to a neighbor": func() { r.s.front.receive(in, frame(inProcess), src) },
				"Send indication":           func() { r.s.front.receive(in, frame(send), src) },
				"Send with FINGERPRINT":     func() { r.s.front.receive(in, frame(marked), src) },
				"ChannelData to the client": func() { fromPeer(at) },
				"Data indication":           func() { fromPeer(netip.AddrPortFrom(at.Addr(), 9)) },
				"Binding":                   func() { r.s.front.receive(in, frame(binding), src) },
			} {
				if n := testing.AllocsPerRun(200, f); n != 0 {
					t.Errorf("%s: %v allocations a packet", name, n)
				}
			}
		})
	}
}

// Every failed login takes the same work. Allocations show that, undisturbed by a busy machine.
func TestAbuse12TimingTellsNothing(t *testing.T) {
	r := newRig(t, nil)
	here := netip.MustParseAddr("127.0.0.1")
	work := map[string]float64{}
	for _, user := range []string{"u", "v", "x", "someone", "1", "1900000000:live", "1900000000:someone",
		"1000000000:live"} {
		c := &client{user: user, key: make([]byte, 16), nonce: r.s.gate.challenges.nonces.append(nil, here,
			r.s.core.clock.wall())}
		var m message
		if !m.Decode(c.build(wire.MethodAllocate, withUDP)) {
			t.Fatal("it does not decode")
		}
		once := func() {
			if _, ok := r.s.gate.keys.authenticate(&m.Message, user); ok {
				t.Errorf("%s is authentic", user)
			}
		}
		// Of several times the least: the server's other goroutines count, too.
		work[user] = testing.AllocsPerRun(100, once)
		for range 4 {
			work[user] = min(work[user], testing.AllocsPerRun(100, once))
		}
	}
	for user, n := range work {
		like := "x" // whether a name has the form of a minted one, its sender knows
		if user[0] == '1' {
			like = "1900000000:someone"
		}
		if n != work[like] {
			t.Errorf("%s takes %v allocations, an unknown user %v", user, n, work[like])
		}
	}
}
