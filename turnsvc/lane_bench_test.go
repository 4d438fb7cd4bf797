package turnsvc

import (
	"fmt"
	"io"
	"net"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// The lane through real sockets, a packet at a time: what is measured is the way there through two
// sockets of the server, with the system calls of client and peer.
func BenchmarkLane(b *testing.B) {
	for _, transport := range []string{"udp", "tcp", "udp6"} {
		for _, size := range []int{160, 1200} {
			r := newRig(b, nil)
			if r.addr[transport] == "" {
				continue
			}
			c := r.dial(transport, "u", "p")
			peer := r.peer()
			relayed := c.allocate()
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(peer.LocalAddr().String()))
			data := make([]byte, size)
			frame := c.channelFrame(0x4000, string(data))
			buf := make([]byte, 2048)
			b.Run(fmt.Sprintf("%s/%d/ToPeer", transport, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := c.conn.Write(frame); err != nil {
						b.Fatal(err)
					}
					if n, _, err := peer.ReadFromUDPAddrPort(buf); n != size {
						b.Fatal(n, err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%d/ToClient", transport, size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if _, err := peer.WriteToUDPAddrPort(data, relayed); err != nil {
						b.Fatal(err)
					}
					if n, err := io.ReadFull(c.conn, buf[:len(frame)]); n != len(frame) {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}

// Relay to relay, which takes no socket of the server but the clients' own.
func BenchmarkLaneInProcess(b *testing.B) {
	r := newRig(b, nil)
	from, to := r.dial("udp", "u", "p"), r.dial("udp", "v", "q")
	from.allocate()
	to.allocate()
	from.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(to.relayed.String()))
	to.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(from.relayed.String()))
	frame := from.channelFrame(0x4000, string(make([]byte, 1200)))
	buf := make([]byte, 2048)
	b.ReportAllocs()
	b.SetBytes(1200)
	for b.Loop() {
		if _, err := from.conn.Write(frame); err != nil {
			b.Fatal(err)
		}
		if n, err := to.conn.(*net.UDPConn).Read(buf); n != len(frame) {
			b.Fatal(n, err)
		}
	}
}
