package turnsvc

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// dialFromHost is dial over TCP, from another address of this host.
func (r *rig) dialFromHost(ip string) *client {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("tcp", r.addr["tcp"])
	if err != nil {
		r.t.Skip(err) // not every system has all of 127.0.0.0/8
	}
	r.t.Cleanup(func() { conn.Close() })
	return r.clientOn(conn, "tcp")
}

// known returns a client when it has been answered.
func known(c *client) *client {
	stranger := &client{}
	c.write(stranger.build(wire.MethodBinding))
	c.tid = stranger.tid
	c.answer()
	return c
}

// F8: whoever has many streams without an allocation pushes out its own, not those of others, who
// came before; and one whose allocation has just ended is not the oldest by when it came.
func TestAttackF8NobodyPushesOthersOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Limits = Limits{Connections: 6} })
	holder := r.dialFromHost("127.0.0.3")
	holder.allocate()
	honest := known(r.dialFromHost("127.0.0.2"))
	var attackers []*client
	for i := range 10 {
		attackers = append(attackers, known(r.dialFromHost("127.0.0.3")))
		if i >= 4 {
			ended(t, attackers[i-4])
		}
	}
	honest.allocate()
	holder.ok(wire.MethodRefresh, withLifetime(0))
	eventually(t, "the holder is a guest", func() bool { return r.s.Allocations() == 1 })
	known(r.dialFromHost("127.0.0.3"))
	ended(t, attackers[6])
	known(holder) // it came first, and goes on
	honest.ok(wire.MethodRefresh)
}

// F8: who has not answered a nonce goes before who has.
func TestAttackF8WhoAnswersStays(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Limits = Limits{Connections: 2} })
	answering := r.dial("tcp", "u", "wrong")
	answering.request(wire.MethodAllocate, withUDP) // is challenged
	answering.request(wire.MethodAllocate, withUDP)
	silent := known(r.dial("tcp", "u", "p"))
	r.dial("tcp", "u", "p").allocate()
	ended(t, silent)
	known(answering)
}

// F8: somebody behind the same NAT fills the places, with streams that have answered a nonce or
// that have not. A newcomer has the time for its first requests, whose answers take a while.
func TestAttackF8NewcomersBehindANATGetIn(t *testing.T) {
	t.Parallel()
	const places = 100
	for _, proving := range []bool{false, true} {
		s := newStreams(newCore(time.Now, nil), &Limits{ConnectionsPerSource: places})
		knock := func(proves bool) *streamLink {
			l := &streamLink{streams: s, peer: netip.MustParseAddrPort("192.0.2.1:1")}
			if s.enter(l); l.leave == nil {
				t.Fatal("one is refused")
			}
			if proves {
				l.answered()
			}
			return l
		}
		for range 2 * places {
			knock(proving)
		}
		newcomer := knock(false)
		for range places / 2 {
			knock(proving)
		}
		newcomer.answered()
		for range places / 2 {
			knock(proving)
		}
		if newcomer.left {
			t.Errorf("attackers who answer nonces (%v) push out who has not yet", proving)
		}
	}
}

// F8: when there may be fewer than there are, those who are too many go for the first newcomer, and
// no more go for the next than for others.
func TestAttackF8FewerStreamsThanThereAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.Limits = Limits{Connections: 6} })
	holder := r.dial("tcp", "u", "p")
	holder.allocate()
	var strangers []*client
	for range 5 {
		strangers = append(strangers, known(r.dial("tcp", "u", "p")))
	}
	r.apply(Live{Users: map[string][]byte{"u": cred.LongTermKey("u", testRealm, "p")}, Keys: r.keys,
		StaticPeers: PeersAny, Limits: Limits{Connections: 3}})
	newcomer := known(r.dial("tcp", "u", "p")) // and no retry
	for i, c := range strangers {
		if i < 4 {
			ended(t, c)
		} else {
			known(c)
		}
	}
	known(newcomer)
	known(r.dial("tcp", "u", "p"))
	ended(t, strangers[4])
	known(newcomer)
	holder.ok(wire.MethodRefresh)
	if drops := r.s.Snapshot().Drops; drops["crowd"] != 0 || drops["crowded-out"] != 5 {
		t.Errorf("%v", drops)
	}
}

// The order of guests, with the /64s of one line.
func TestGuests(t *testing.T) {
	t.Parallel()
	g := newGuests()
	places, at := map[string]guestPlace{}, map[string]*streamLink{}
	add := func(name, ip string, proving bool) {
		at[name] = &streamLink{peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 1), name: name}
		places[name] = g.add(at[name], proving)
	}
	first := func(want string) {
		t.Helper()
		if l := g.most(); l == nil && want != "" || l != nil && l.name != want {
			t.Errorf("%v goes first, want %q", l, want)
		}
	}
	first("")
	add("a", "192.0.2.1", false)
	add("b", "192.0.2.2", false)
	first("a")
	add("c", "2001:db8:0:1::1", true)
	add("d", "2001:db8:0:2::1", false)
	add("e", "2001:db8:0:3::1", false)
	first("d")
	g.remove(places["d"])
	first("e")
	g.remove(places["e"])
	first("a") // it was alone before c was
	g.remove(places["c"])
	g.remove(places["a"])
	first("b")
	if l := g.from(netip.MustParsePrefix("192.0.2.1/32")); l != nil {
		t.Errorf("%s", l.name)
	}
	g.remove(places["b"])
	g.remove(guestPlace{})
	if first(""); len(g.blocks) != 0 || len(g.sizes) != 0 {
		t.Errorf("%d blocks, %d sizes", len(g.blocks), len(g.sizes))
	}
}

// F8: whoever has too many in a block makes room there, and one alone, be the block a line's /64,
// /56 or /48.
func TestAttackF8ALineMakesRoomInItself(t *testing.T) {
	t.Parallel()
	const limit = 2
	s := newStreams(newCore(time.Now, nil), &Limits{ConnectionsPerSource: limit})
	knock := func(ip string) (l *streamLink, gone []*streamLink) {
		l = &streamLink{streams: s, peer: netip.AddrPortFrom(netip.MustParseAddr(ip), 1), name: ip}
		gone, _ = s.enter(l)
		return l, gone
	}
	var came []string
	for i := range 4 * limit { // two in each /64, four in each /56, eight in the /48
		ip := fmt.Sprintf("2001:db8:0:%x::%x", i/4<<8|i/2%2, i)
		if l, gone := knock(ip); l.leave == nil || len(gone) != 0 {
			t.Fatalf("%s: %v, %d gone", ip, l.leave != nil, len(gone))
		}
		came = append(came, ip)
	}
	for _, c := range []struct{ ip, gone string }{
		{"2001:db8:0:1::9", came[2]}, // its /64 is full
		{"2001:db8:0:9::9", came[0]}, // its /56
		{"2001:db8:9::9", ""},
		{"2001:db8:0:900::9", came[1]}, // its /48
	} {
		l, gone := knock(c.ip)
		var names []string
		for _, l := range gone {
			names = append(names, l.name)
		}
		if got := strings.Join(names, " "); l.leave == nil || got != c.gone {
			t.Errorf("%s: in: %v, gone: %q, want %q", c.ip, l.leave != nil, got, c.gone)
		}
	}
}

// BenchmarkKnock is a newcomer for whom one of so many makes room, from one source or from many.
func BenchmarkKnock(b *testing.B) {
	for _, sources := range []int{1, 1 << 16} {
		for _, streams := range []int{100, 20_000} {
			b.Run(fmt.Sprintf("%d streams from %d sources", streams, sources), func(b *testing.B) {
				t := newStreams(newCore(time.Now, nil), &Limits{Connections: streams})
				next := 0
				knock := func() {
					ip := netip.AddrFrom4([4]byte{10, 0, byte(next % sources >> 8), byte(next % sources)})
					next++
					t.enter(&streamLink{streams: t, peer: netip.AddrPortFrom(ip, 1)})
				}
				for range streams {
					knock()
				}
				for b.Loop() {
					knock()
				}
			})
		}
	}
}
