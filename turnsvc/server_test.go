package turnsvc

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// each runs a test over UDP and TCP.
func each(t *testing.T, change func(*Options), run func(t *testing.T, r *rig, transport string)) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			run(t, newRig(t, change), transport)
		})
	}
}

func TestBindingTellsTheReflexiveAddress(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.write(c.build(wire.MethodBinding))
		m := c.answer()
		value, _ := m.Get(wire.AttrXORMappedAddress)
		addr, ok := wire.XORAddress(value, m.TransactionID())
		if want := wire.AddrPort(c.conn.LocalAddr()); !ok || addr != want {
			t.Errorf("XOR-MAPPED-ADDRESS %v, want %v", addr, want)
		}
		if !m.Fingerprint {
			t.Error("a request with FINGERPRINT wants one in the answer")
		}
		c.write(c.build(wire.MethodBinding, attr(0x0003, 0, 0, 0, 6))) // CHANGE-REQUEST is not served here
		if m := c.answer(); m.code() != 420 {
			t.Errorf("unknown attribute: code %d, want 420", m.code())
		} else if list, _ := m.Get(wire.AttrUnknownAttributes); !bytes.Equal(list, []byte{0, 3}) {
			t.Errorf("UNKNOWN-ATTRIBUTES % x, want 00 03", list)
		}
	})
}

func channelCarriesAllSizes(t *testing.T, c *client, number uint16, peer *net.UDPConn) {
	t.Helper()
	for _, size := range []int{0, 1, 2, 3, 4, 1200, 9000} {
		want := strings.Repeat("x", size)
		c.write(c.channelFrame(number, want))
		if data, _ := readPeer(t, peer); data != want {
			t.Errorf("%d bytes out: got %d", size, len(data))
		}
		if _, err := peer.WriteToUDPAddrPort([]byte(want), c.relayed); err != nil {
			t.Fatal(err)
		}
		if _, n, data := c.received(); n != number || data != want {
			t.Errorf("%d bytes back: got %d on channel %#x", size, len(data), n)
		}
	}
}

func TestRelayCarriesBothWays(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		peer := r.peer()
		at := peer.LocalAddr().String()
		relayed := c.allocate()
		if relayed.Port() < 20000 || relayed.Port() > 32000 {
			t.Errorf("relayed %v is out of the range of ports", relayed)
		}

		c.write(c.sendFrame(at, "too early"))
		c.ok(wire.MethodCreatePermission, withPeer(at))
		c.write(c.sendFrame(at, "by indication"))
		data, from := readPeer(t, peer)
		if data != "by indication" || from != relayed {
			t.Errorf("the peer got %q from %v, want it from %v", data, from, relayed)
		}
		if _, err := peer.WriteToUDPAddrPort([]byte("back"), relayed); err != nil {
			t.Fatal(err)
		}
		if p, _, data := c.received(); p.String() != at || data != "back" {
			t.Errorf("got %q of %v", data, p)
		}

		c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(at))
		channelCarriesAllSizes(t, c, 0x4001, peer)

		stranger := r.peer()
		snap := r.s.Snapshot()
		if len(snap.Allocations) != 1 || snap.Allocations[0].Channels != 1 ||
			snap.Allocations[0].Transport != transport || snap.Drops["no-permission"] != 1 {
			t.Errorf("snapshot %+v", snap)
		}
		eventually(t, "the last packet is counted, which is after it was sent", func() bool {
			return r.s.Snapshot().Allocations[0].FromClientPackets == 8
		})
		// A permission is for an address, not for a port.
		if _, err := stranger.WriteToUDPAddrPort([]byte("same address"), relayed); err != nil {
			t.Fatal(err)
		}
		if p, n, _ := c.received(); n != 0 || p.String() != stranger.LocalAddr().String() {
			t.Errorf("got channel %#x, peer %v", n, p)
		}

		if m := c.ok(wire.MethodRefresh, withLifetime(0)); m.lifetime() != 0 {
			t.Errorf("LIFETIME %v after a refresh with 0", m.lifetime())
		}
		c.refused(437, wire.MethodRefresh)
		if n := r.s.Allocations(); n != 0 {
			t.Errorf("%d allocations are left", n)
		}
	})
}

func TestRelayToRelayInProcess(t *testing.T) {
	// The public address is one that this machine does not have: only a hand-over in process can
	// work, as behind 1:1 NAT.
	each(t, func(o *Options) { behindNAT(o); o.AllowLoopback = false },
		func(t *testing.T, r *rig, transport string) {
			a, b := r.dial(transport, "u", "p"), r.dial("tcp", "v", "q")
			ra, rb := a.allocate(), b.allocate()
			a.ok(wire.MethodCreatePermission, withPeer(rb.String()))
			a.write(a.sendFrame(rb.String(), "not yet"))
			eventually(t, "the packet without permission is dropped",
				func() bool { return r.s.Snapshot().Drops["peer-unknown"] == 1 })
			b.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(ra.String()))
			a.write(a.sendFrame(rb.String(), "hello"))
			if _, n, data := b.received(); n != 0x4000 || data != "hello" {
				t.Errorf("got %q on channel %#x", data, n)
			}
			b.write(b.channelFrame(0x4000, "well met"))
			if p, _, data := a.received(); p != ra && p != rb || data != "well met" {
				t.Errorf("got %q of %v", data, p)
			}
			// Its own address leads nowhere but to live relays.
			a.write(a.sendFrame("198.51.100.7:22", "ssh"))
			eventually(t, "the drop is counted", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 1 })
		})
}

func TestAuthentication(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		challenge := r.dial(transport, "u", "p")
		challenge.write(challenge.build(wire.MethodAllocate, withUDP))
		m := challenge.answer()
		if realm, _ := m.Get(wire.AttrRealm); m.code() != 401 || string(realm) != testRealm {
			t.Errorf("code %d, realm %q", m.code(), realm)
		}
		if reason, _ := m.Get(wire.AttrErrorCode); len(reason) > 4 {
			t.Errorf("a stranger gets the reason phrase %q", reason[4:])
		}

		var sizes []int
		for name, c := range map[string]*client{
			"wrong password":  r.dial(transport, "u", "wrong"),
			"unknown user":    r.dial(transport, "x", "p"),
			"expired":         r.minted(transport, cred.ICE, "someone", -time.Second),
			"session is over": r.minted(transport, cred.Hub, "gone", time.Hour),
		} {
			m := c.refused(401, wire.MethodAllocate, withUDP)
			if _, ok := m.Get(wire.AttrNonce); !ok || m.Integrity != 0 {
				t.Errorf("%s: want a challenge", name)
			}
			sizes = append(sizes, len(m.Raw))
		}
		for _, n := range sizes {
			if n != sizes[0] {
				t.Errorf("answers differ in size: %v", sizes)
			}
		}

		for _, class := range []cred.Class{cred.Hub, cred.ICE, cred.Shared} {
			c := r.minted(transport, class, "live", time.Hour)
			c.allocate()
			if got := r.s.Snapshot().Allocations; len(got) != 1 || got[0].Class != class.String() {
				t.Errorf("%v: snapshot %+v", class, got)
			}
			c.ok(wire.MethodRefresh, withLifetime(0))
		}

		by := r.s.Snapshot().RefusalsByClass
		if by["none"][401] == 0 || by["hub"][401]+by["static"][401] != 0 {
			t.Errorf("refusals by class: %v", by)
		}

		// Another valid user on the same 5-tuple is refused, and has no effect.
		c := r.dial(transport, "u", "p")
		c.allocate()
		c.user, c.key = "v", cred.LongTermKey("v", testRealm, "q")
		c.refused(441, wire.MethodRefresh, withLifetime(0))
		c.refused(441, wire.MethodCreatePermission, withPeer("127.0.0.1:9"))
		if r.s.Allocations() != 1 {
			t.Error("another user ended the allocation")
		}
	})
}

func (r *rig) minted(transport string, class cred.Class, id string, life time.Duration) *client {
	user, password := r.keys.Mint(class, id, r.s.core.clock.wall().Add(life))
	return r.dial(transport, user, password)
}

func TestCallOutlivesItsCredential(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.minted(transport, cred.Shared, "x", time.Minute)
		c.allocate()
		r.advance(5 * time.Minute) // the allocation lasts ten
		c.ok(wire.MethodRefresh)
		c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:9"))
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9"))
		c.ok(wire.MethodRefresh, withLifetime(0))
		c.refused(401, wire.MethodAllocate, withUDP)
	})
}

func TestDeadlines(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		peer := r.peer()
		at := peer.LocalAddr().String()
		c.allocate(withLifetime(3000))
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))

		r.advance(290 * time.Second)
		c.write(c.channelFrame(0x4000, "in time"))
		if data, _ := readPeer(t, peer); data != "in time" {
			t.Errorf("got %q", data)
		}
		r.advance(11 * time.Second) // the permission is over, the channel is not
		c.write(c.channelFrame(0x4000, "late"))
		eventually(t, "the drop is counted", func() bool { return r.s.Snapshot().Drops["no-channel"] == 1 })
		c.ok(wire.MethodCreatePermission, withPeer(at))
		c.write(c.channelFrame(0x4000, "again"))
		if data, _ := readPeer(t, peer); data != "again" {
			t.Errorf("got %q", data)
		}
		r.advance(301 * time.Second) // now both are
		r.forgotten(0x4000)
		c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(at))
		c.refused(400, wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
		c.refused(400, wire.MethodChannelBind, withChannel(0x4001), withPeer("127.0.0.1:1"))
		c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(at))

		r.advance(3000 * time.Second)
		c.refused(437, wire.MethodRefresh)
		eventually(t, "the allocation is removed", func() bool { return r.s.Allocations() == 0 })
	})
}

func TestAllocateRefusals(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser = 2 }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.refused(400, wire.MethodAllocate)
		c.refused(442, wire.MethodAllocate, attr(wire.AttrRequestedTransport, 6, 0, 0, 0))
		c.refused(440, wire.MethodAllocate, withUDP, withFamily(3))
		c.refused(400, wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80),
			attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8))
		c.refused(508, wire.MethodAllocate, withUDP, attr(wire.AttrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8))
		c.refused(400, wire.MethodAllocate, withUDP, attr(wire.AttrLifetime, 1, 2))
		m := c.refused(420, wire.MethodAllocate, withUDP, attr(0x0027), attr(0x7001))
		if list, _ := m.Get(wire.AttrUnknownAttributes); !bytes.Equal(list, []byte{0, 0x27, 0x70, 1}) {
			t.Errorf("UNKNOWN-ATTRIBUTES % x", list)
		}
		if !m.SignedBy(c.key) {
			t.Error("the refusal is not signed")
		}
		c.allocate()
		first := append([]byte(nil), c.answerTo(c.build(wire.MethodAllocate, withUDP)).Raw...)
		if (&message{}).Decode(first); r.s.Snapshot().Refusals[437] != 1 {
			t.Error("a second Allocate is not a mismatch")
		}
		r.dial(transport, "u", "p").allocate()
		r.dial(transport, "u", "p").refused(486, wire.MethodAllocate, withUDP)
		r.s.Drain()
		r.dial(transport, "v", "q").refused(508, wire.MethodAllocate, withUDP)
		c.ok(wire.MethodRefresh)
	})
}

func (c *client) answerTo(frame []byte) *message {
	c.t.Helper()
	c.write(frame)
	return c.answer()
}

func TestEvenPort(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	m := c.ok(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
	value, _ := m.Get(wire.AttrXORRelayedAddress)
	rtp, _ := wire.XORAddress(value, m.TransactionID())
	token, ok := m.Get(wire.AttrReservationToken)
	if rtp.Port()%2 != 0 || !ok {
		t.Fatalf("port %d, token %v", rtp.Port(), ok)
	}
	other := r.dial("udp", "v", "q")
	other.refused(508, wire.MethodAllocate, withUDP, attr(wire.AttrReservationToken, token...)) // another user's
	rtcp := r.dial("udp", "u", "p").allocate(attr(wire.AttrReservationToken, token...))
	if rtcp.Port() != rtp.Port()+1 {
		t.Errorf("the reserved port is %d, want %d", rtcp.Port(), rtp.Port()+1)
	}
	for range 20 {
		if p := r.dial("udp", "u", "p").allocate(attr(wire.AttrEvenPort, 0)); p.Port()%2 != 0 {
			t.Errorf("EVEN-PORT gave %d", p.Port())
		}
	}
}

func TestReservationsAndPortsComeBack(t *testing.T) {
	r := newRig(t, func(o *Options) { o.MinPort, o.MaxPort = 32100, 32103 })
	full := func() (n int) { return 4 - r.s.books.pools[0].Taken() }
	c := r.dial("udp", "u", "p")
	c.ok(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
	d := r.dial("udp", "u", "p")
	d.ok(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
	r.dial("udp", "v", "q").refused(508, wire.MethodAllocate, withUDP)
	c.ok(wire.MethodRefresh, withLifetime(0))
	d.ok(wire.MethodRefresh, withLifetime(0))
	r.advance(31 * time.Second)
	eventually(t, "reservations end", func() bool { return r.inBooks(full) == 4 })
	for range 50 { // the pool neither leaks nor gives one port twice
		e := r.dial("udp", "u", "p")
		e.allocate()
		e.ok(wire.MethodRefresh, withLifetime(0))
	}
	if n := r.inBooks(full); n != 4 {
		t.Errorf("%d ports are free, want 4", n)
	}
}

// forgotten waits until pion has forgotten a channel of the only allocation, for pion's clock can't
// be advanced, and a run may take less than its millisecond.
func (r *rig) forgotten(number uint16) {
	r.t.Helper()
	a, elsewhere := r.s.books.list()[0], netip.MustParseAddrPort("127.0.0.9:9")
	eventually(r.t, "pion has forgotten the channel", func() bool {
		return r.inBooks(func() int {
			if r.s.books.engine.Bind(a.id, number, elsewhere) != nil {
				return 0 // it still knows it as the first peer's
			}
			return 1
		}) == 1
	})
}

// inBooks runs f in the goroutine that owns the books.
func (r *rig) inBooks(f func() int) int {
	r.t.Helper()
	return inBooks(r.t, r.s, f)
}

func inBooks(t testing.TB, s *Server, f func() int) int {
	t.Helper()
	return <-booked(t, s, f)
}

// booked has f run there, and returns without it. What f returns comes through the channel.
func booked(t testing.TB, s *Server, f func() int) <-chan int {
	t.Helper()
	got := make(chan int, 1)
	raw := make([]byte, wire.HeaderSize)
	rand.Read(raw) // another transaction each time
	link := probeLink{asked: func() { got <- f() }}
	probe := &request{link: link, msg: wire.Message{Method: wire.MethodRefresh, Raw: raw}}
	eventually(t, "room in the queue", func() bool { return s.books.submit(probe) })
	return got
}

// probeLink is a link whose first use in the books' goroutine runs a function.
type probeLink struct{ asked func() }

func (p probeLink) allocation(netip.AddrPort) *allocation   { p.asked(); return nil }
func (probeLink) setAllocation(netip.AddrPort, *allocation) {}
func (probeLink) send([]byte, netip.AddrPort)               {}
func (probeLink) run(wire.Run, uint16, netip.AddrPort, *socket.RunLimit) (p, b int, ok bool) {
	return p, b, ok
}

func (probeLink) data([]byte, netip.AddrPort) bool { return true }
func (probeLink) answer([]byte, netip.AddrPort)    {}
func (probeLink) closed() bool                     { return false }
func (probeLink) close()                           {}
func (probeLink) answered()                        {}
func (probeLink) padded() bool                     { return false }
func (probeLink) transport() string                { return "probe" }
func (probeLink) local() (a netip.AddrPort)        { return a }

func TestPermissionPolicy(t *testing.T) {
	public := "203.0.114.9:9"
	each(t, func(o *Options) {
		o.AllowLoopback = false
		behindNAT(o)
		o.AllowPeers = prefixes("10.1.0.0/16", "127.0.0.0/8")
		o.DenyPeers = prefixes("10.1.2.0/24", "8.8.8.8/32")
	}, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		for _, peer := range []string{
			"127.0.0.2:9", "127.255.255.254:9", "0.0.0.0:9", "0.1.2.3:9", "169.254.169.254:80", "168.63.129.16:80",
			"100.100.100.200:80",
			"10.0.0.1:9", "10.1.2.3:9", "172.16.0.1:9", "192.168.1.1:9", "100.64.0.1:9", "192.0.2.1:9", "198.18.0.1:9",
			"203.0.113.1:9",
			"224.0.0.1:9", "240.0.0.1:9", "255.255.255.255:9", "8.8.8.8:9",
		} {
			m := c.refused(403, wire.MethodCreatePermission, withPeer(peer))
			if !m.SignedBy(c.key) {
				t.Errorf("%s: the refusal is not signed", peer)
			}
			c.refused(403, wire.MethodChannelBind, withChannel(0x4000), withPeer(peer))
			c.refused(403, wire.MethodCreatePermission, withPeer(public), withPeer(peer))
		}
		if p := r.s.Snapshot().Allocations[0].Permissions; len(p) != 0 {
			t.Errorf("refused requests installed %v", p)
		}
		c.refused(443, wire.MethodCreatePermission, withPeer("[2001:db9::1]:9"))
		c.refused(443, wire.MethodCreatePermission, withPeer("[::ffff:127.0.0.1]:9"))
		c.refused(400, wire.MethodCreatePermission)
		for _, size := range []int{0, 1, 2, 3, 4, 7, 9, 19, 21} {
			c.refused(400, wire.MethodCreatePermission, attr(wire.AttrXORPeerAddress, make([]byte, size)...))
		}
		c.ok(wire.MethodCreatePermission, withPeer(public), withPeer("10.1.0.1:9"))
		c.ok(wire.MethodCreatePermission, withPeer("198.51.100.7:0")) // relays of this box
		if p := r.s.Snapshot().Allocations[0].Permissions; len(p) != 3 {
			t.Errorf("permissions %v", p)
		}

		// A credential without a session reaches this box's relays only.
		ice := r.minted(transport, cred.ICE, "x", time.Hour)
		ice.allocate()
		ice.refused(403, wire.MethodCreatePermission, withPeer(public))
		if by := r.s.Snapshot().RefusalsByClass; by["ice"][403] != 1 || by["static"][403] == 0 {
			t.Errorf("refusals by class: %v", by)
		}
		ice.ok(wire.MethodCreatePermission, withPeer("198.51.100.7:0"))
	})
}

func TestLimitsOfAnAllocation(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Limits.Permissions, o.Limits.Channels = 3, 2 })
	c := r.dial("udp", "u", "p")
	c.allocate()
	for i := range 3 {
		c.ok(wire.MethodCreatePermission, withPeer(fmt.Sprintf("127.0.0.%d:9", i+1)))
	}
	c.refused(508, wire.MethodCreatePermission, withPeer("127.0.0.4:9"))
	c.refused(508, wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.4:9"))
	c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:1"))
	c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer("127.0.0.1:2"))
	c.refused(508, wire.MethodChannelBind, withChannel(0x4002), withPeer("127.0.0.1:3"))
	r.advance(301 * time.Second)
	eventually(t, "expired permissions are forgotten",
		func() bool { return len(r.s.Snapshot().Allocations[0].Permissions) == 0 })
	r.advance(time.Second)
	eventually(t, "room for another", func() bool {
		return c.request(wire.MethodCreatePermission,
			withPeer("127.0.0.4:9")).Class == wire.ClassSuccess
	})
}

func TestStreamEndFreesItsAllocation(t *testing.T) {
	r := newRig(t, nil)
	c := r.dial("tcp", "u", "p")
	c.allocate()
	c.conn.Close()
	eventually(t, "the allocation ends", func() bool { return r.s.Allocations() == 0 })
}

// 10 of the operators' reports: how long a nonce is good is the operator's choice, also for nonces
// that clients have.
func TestIssue16NonceLifetime(t *testing.T) {
	r := newRig(t, func(o *Options) { o.NonceLifetime = 5 * time.Minute })
	refreshed := func(c *client) int { return c.answerTo(c.build(wire.MethodRefresh)).code() }
	c := r.dial("udp", "u", "p")
	c.allocate()
	r.advance(4 * time.Minute)
	if code := refreshed(c); code != 0 {
		t.Errorf("within its lifetime: %d", code)
	}
	r.advance(3 * time.Minute)
	if code := refreshed(c); code != 438 {
		t.Errorf("after its lifetime: %d, want 438", code)
	}
	next := r.s.judge.settings.Load().Live
	next.NonceLifetime = time.Hour
	if err := r.s.Apply(next); err != nil {
		t.Fatal(err)
	}
	if code := refreshed(c); code != 0 {
		t.Errorf("within a longer lifetime: %d", code)
	}
}

func TestNonce(t *testing.T) {
	n := newNonces(make([]byte, 32), 30*time.Minute)
	now := time.Unix(1_800_000_000, 0)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	nonce := n.append(nil, a, now)
	if len(nonce) != nonceSize || !n.valid(nonce, a, now) || !n.valid(nonce, a, now.Add(29*time.Minute)) {
		t.Error("a nonce is refused to its owner")
	}
	if n.valid(nonce, b, now) || n.valid(nonce, a, now.Add(40*time.Minute)) ||
		n.valid(nonce, a, now.Add(-10*time.Minute)) {
		t.Error("a nonce is good for somebody else or at another time")
	}
	for i := range nonce {
		bad := bytes.Clone(nonce)
		bad[i] ^= 1
		if n.valid(bad, a, now) {
			t.Errorf("nonce with byte %d changed is valid", i)
		}
	}
	if newNonces(append(make([]byte, 31), 1), 30*time.Minute).valid(nonce, a, now) {
		t.Error("a nonce of another process is valid")
	}

	// A stale one is replaced in one round trip.
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.allocate()
	r.advance(35 * time.Minute)
	c.write(c.build(wire.MethodRefresh))
	m := c.answer()
	fresh, _ := m.Get(wire.AttrNonce)
	if m.code() != 438 || len(fresh) == 0 {
		t.Fatalf("code %d", m.code())
	}
	c.nonce = fresh
	c.refused(437, wire.MethodRefresh) // its ten minutes are over, but it is authenticated
}
