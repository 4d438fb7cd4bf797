package turnsvc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// arrived is datagrams as they lie behind each other where the kernel has merged them.
func arrived(b *wire.Buffer, from netip.AddrPort, frames ...[]byte) (list []wire.Datagram) {
	off := wire.Headroom
	for _, f := range frames {
		n := copy(b[off:], f)
		list = append(list, wire.Datagram{Packet: wire.Packet{Buf: b[:], Off: off, N: n}, From: from})
		off += n
	}
	return list
}

// payload is data that says its number, of any size.
func payload(number int) string {
	sizes := []int{8, 9, 10, 11, 160, 160, 160, 1200, 1200, 1200, 1201, 1452, 1460}
	b := fmt.Appendf(nil, "%08d", number)
	for size := sizes[rand.IntN(len(sizes))]; len(b) < size; {
		b = append(b, byte(rand.Int()))
	}
	return string(b)
}

// What comes together is relayed as if each had come alone: all of it, in order, and as it is.
func TestRunsOfAClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.allocate()
	peers := []*net.UDPConn{r.peer(), r.peer()}
	for i, p := range peers {
		c.ok(wire.MethodChannelBind, withChannel(0x4000+uint16(i)), withPeer(p.LocalAddr().String()))
	}
	a, in, b := r.s.books.list()[0], &inlet{}, new(wire.Buffer)
	in.link = a.link
	number, malformed, unbound := 0, 0, 0
	for range 300 {
		var frames [][]byte
		var want [2][]string
		same := payload(0)
		for range 1 + rand.IntN(30) {
			data, to := payload(number), rand.IntN(len(peers))
			if rand.IntN(3) > 0 {
				data, to = fmt.Sprintf("%08d", number)+same[8:], 0
			}
			number++
			switch rand.IntN(12) {
			case 0:
				frames = append(frames, c.sendFrame(peers[to].LocalAddr().String(), data))
			case 1: // padded, as clients may (RFC 8656 §12.5)
				frames = append(frames, append(c.channelFrame(0x4000+uint16(to), data), make([]byte, 3)...))
			case 2:
				malformed++
				frames = append(frames, c.channelFrame(0x4000, data)[:10])
				continue
			case 3:
				unbound++
				frames = append(frames, c.channelFrame(0x4002, data))
				continue
			default:
				frames = append(frames, c.channelFrame(0x4000+uint16(to), data))
			}
			want[to] = append(want[to], data)
		}
		r.s.front.receiveAll(in, arrived(b, a.client, frames...))
		for i, p := range peers {
			for _, data := range want[i] {
				if got, _ := readPeer(t, p); got != data {
					t.Fatalf("peer %d got %d bytes, %.8q, want %d, %.8q", i, len(got), got, len(data), data)
				}
			}
		}
	}
	drops := r.s.Snapshot().Drops
	if drops["malformed"] != uint64(malformed) || drops["no-channel"] != uint64(unbound) {
		t.Errorf("%v are dropped, want %d that are malformed and %d without a channel", drops, malformed, unbound)
	}
	eventually(t, "what was sent is counted", func() bool {
		return a.carried().FromClientPackets == uint64(number-malformed-unbound)
	})
}

// The same for peers, and for relays of this box, with each kind of client and framing.
func TestRunsOfPeers(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		for _, framing := range []string{"channel", "indication"} {
			for _, from := range []string{"peer", "relay"} {
				t.Run(transport+"/"+framing+"/"+from, func(t *testing.T) {
					t.Parallel()
					testRunsOfPeers(t, transport, framing == "channel", from == "relay")
				})
			}
		}
	}
}

func testRunsOfPeers(t *testing.T, transport string, bound, inside bool) {
	r := newRigWith(t, nil, func(s *Server) {
		s.gate.patience, s.streams.mediaAge = 0, patience // nothing is late, however busy the machine is
	})
	c := r.dial(transport, "u", "p")
	relayed := c.allocate()
	at := wire.AddrPort(r.peer().LocalAddr())
	a := r.s.books.list()[0]
	send := func(list []wire.Datagram) {
		for len(list) > 0 {
			run := wire.NextRun(list)
			list = list[len(run):]
			r.s.books.receive(a, run)
		}
	}
	if inside {
		other := r.dial("udp", "v", "q")
		at = other.allocate()
		other.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(relayed.String()))
		list := r.s.books.list()
		in := &inlet{link: list[slices.IndexFunc(list, func(b *allocation) bool { return b != a })].link}
		send = func(list []wire.Datagram) {
			frames := make([][]byte, len(list))
			for i, d := range list {
				frames[i] = other.channelFrame(0x4001, string(d.Data()))
			}
			r.s.front.receiveAll(in, arrived(new(wire.Buffer), wire.AddrPort(other.conn.LocalAddr()), frames...))
		}
	}
	want := uint16(0)
	if bound {
		want = 0x4000
		c.ok(wire.MethodChannelBind, withChannel(want), withPeer(at.String()))
	} else {
		c.ok(wire.MethodCreatePermission, withPeer(at.String()))
	}
	b, number := new(wire.Buffer), 0
	for range 100 {
		var data [][]byte
		same := payload(0)
		for range 1 + rand.IntN(20) {
			data = append(data, fmt.Append(nil, fmt.Sprintf("%08d", number), same[8:]))
			if number++; rand.IntN(5) == 0 {
				data[len(data)-1] = []byte(payload(number))
			}
		}
		expected := slices.Clone(data)
		send(arrived(b, at, data...))
		for _, data := range expected {
			peer, channel, got := c.received()
			if got != string(data) || channel != want || !bound && peer != at {
				t.Fatalf("got %d bytes, %.8q, of %v on %#x, want %d, %.8q", len(got), got, peer, channel, len(data),
					data)
			}
		}
	}
	if n := a.carried().ToClientPackets; n != uint64(number) {
		t.Errorf("%d packets are counted, want %d", n, number)
	}
}

// Of a run passes what the limit lets pass.
func TestRunsAreLimited(t *testing.T) {
	t.Parallel()
	began := time.Now()
	r := newRig(t, func(o *Options) {
		o.Limits.Bandwidth = 100_000
		o.Now = func() time.Time { return began } // nothing is made up for meanwhile
	})
	c := r.dial("udp", "u", "p")
	c.allocate()
	p := r.peer()
	c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(p.LocalAddr().String()))
	a, b := r.s.books.list()[0], new(wire.Buffer)
	in := &inlet{link: a.link}
	const runs, each, size = 50, 20, 1200
	number, last := 0, -1
	for range runs {
		var frames [][]byte
		for range each {
			frames = append(frames, c.channelFrame(0x4000, fmt.Sprintf("%0*d", size, number)))
			number++
		}
		before := a.carried().FromClientPackets
		r.s.front.receiveAll(in, arrived(b, a.client, frames...))
		for range a.carried().FromClientPackets - before {
			data, _ := readPeer(t, p)
			n, err := strconv.Atoi(strings.TrimLeft(data[:size-1], "0") + data[size-1:])
			if err != nil || n <= last || len(data) != size {
				t.Fatalf("%d comes after %d, with %d bytes: %v", n, last, len(data), err)
			}
			last = n
		}
	}
	passed, dropped := a.carried(), r.s.Snapshot().Drops["bandwidth"]
	if passed.FromClientBytes > paceBurst || passed.FromClientPackets < 100 ||
		passed.FromClientPackets+dropped != runs*each {
		t.Errorf("%+v passed, and %d are dropped", passed, dropped)
	}
}
