package turnsvc

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// Each allocation has a line at its end, which says whose it was, what it has carried and why it is
// over.
func TestIssue16AllocationsEndWithALine(t *testing.T) {
	for why, over := range map[end]func(r *rig, c *client){
		endReleased: func(_ *rig, c *client) { c.ok(wire.MethodRefresh, withLifetime(0)) },
		endExpired:  func(r *rig, _ *client) { r.advance(time.Hour) },
		endKicked:   func(r *rig, _ *client) { r.s.KickUser("u") },
		endSession:  func(r *rig, _ *client) { r.s.Ended("live", false) },
		endUser: func(r *rig, _ *client) {
			live := r.s.judge.settings.Load().Live
			live.Users = nil
			if err := r.s.Apply(live); err != nil {
				r.t.Error(err)
			}
		},
		endStream: func(_ *rig, c *client) { c.conn.Close() },
	} {
		t.Run(string(why), func(t *testing.T) {
			var log testkit.Log
			each(t, func(o *Options) { o.Log = log.Logger() }, func(t *testing.T, r *rig, transport string) {
				if why == endStream && transport == "udp" {
					return // it has none
				}
				c, class, user := r.dial(transport, "u", "p"), cred.Static, "u"
				if why == endSession {
					c, class, user = r.minted(transport, cred.Hub, "live", time.Hour), cred.Hub, "live"
				}
				c.allocate()
				if why != endSession {
					peer := r.peer()
					at := peer.LocalAddr().String()
					c.ok(wire.MethodCreatePermission, withPeer(at))
					c.write(c.sendFrame(at, "twelve bytes"))
					eventually(t, "the count", func() bool { return r.s.Snapshot().Relayed.FromClientBytes == 12 })
				} else {
					r.advance(shortLife)
				}
				over(r, c)
				start := fmt.Sprintf("why=%s client=%v class=%v transport=%s relay=%v age=", why, c.conn.LocalAddr(),
					class, transport, c.relayed)
				eventually(t, start, func() bool { return log.Count(start) == 1 && r.s.Allocations() == 0 })
				carried := "fromClientBytes=12 fromClientPackets=1 toClientBytes=0 toClientPackets=0 user=" + user
				if why == endSession {
					carried = "fromClientBytes=0 fromClientPackets=0 toClientBytes=0 toClientPackets=0 user=" + user
				}
				if log.Count(carried) == 0 {
					t.Errorf("want %s in\n%s", carried, log.String())
				}
			})
		})
	}
}

// A crowd of allocations that end has two hundred lines, and one that sums up the rest, at the end
// of the period or of the server.
func TestIssue16FloodOfEnds(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	e := newCore(time.Now, log.Logger()).ends
	for i := range 6 * endsOfSource {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}), uint16(i))
		a := &allocation{client: at, link: &streamLink{}, why: endKicked, clock: e.clock,
			issued: strings.Repeat("工", 100)}
		a.toClient.add(1, 1)
		e.note(a)
	}
	e.lines.settle(true)
	if n := log.Count("why=kicked"); n != endsOfAll {
		t.Errorf("%d lines", n)
	}
	if n := log.Count(fmt.Sprint("more=", 6*endsOfSource-endsOfAll)); n != 1 {
		t.Errorf("the rest was summed up %d times", n)
	}
}

// One user who allocates and gives back on and on wrote 1.2 GB of log a day. Such allocations have
// a line together, and soon there are no more of them: the refusal says so. Who uses its
// allocations is not concerned, nor is the same user at other addresses.
func TestAUserWhoAllocatesAndGivesBack(t *testing.T) {
	var log testkit.Log
	r := newRig(t, func(o *Options) { o.Log = log.Logger() })
	one := netip.MustParseAddrPort("127.0.0.1:9") // of the many clients there
	for range 3 {
		c := r.dial("udp", "u", "p")
		c.allocate()
		c.ok(wire.MethodRefresh, withLifetime(0))
		r.inBooks(func() int { return 0 })
	}
	if n := log.Count("turn allocation ended"); n != 0 {
		t.Errorf("%d lines", n)
	}
	r.inBooks(func() int { r.s.core.ends.lines.settle(true); return 0 })
	if log.Count("more=3") != 1 {
		t.Errorf("no sum in\n%s", log.String())
	}
	count := func(n int, client netip.AddrPort) {
		r.inBooks(func() int {
			for range n {
				r.s.books.unused.add("u", client, r.s.core.clock.now())
			}
			return 0
		})
	}
	count(unusedBurst-4, one)
	using := r.dial("udp", "u", "p")
	using.allocate() // there is room for this one
	peer := r.peer()
	using.ok(wire.MethodCreatePermission, withPeer(peer.LocalAddr().String()))
	using.write(using.sendFrame(peer.LocalAddr().String(), "x"))
	eventually(t, "the count", func() bool { return r.s.Snapshot().Relayed.FromClientBytes == 1 })
	using.ok(wire.MethodRefresh, withLifetime(0))
	count(5, one)
	fresh := r.dial("udp", "u", "p")
	fresh.allocate() // one that has given none back has room beyond
	fresh.ok(wire.MethodRefresh, withLifetime(0))
	fresh.refused(486, wire.MethodAllocate, withUDP)
	eventually(t, "the reason in the log", func() bool { return log.Count(limitUnused.why()) == 1 })
	r.dial("udp", "u", "p").allocate()
	count(beyondBurst, one)
	r.dial("udp", "u", "p").refused(486, wire.MethodAllocate, withUDP)
	if n := log.Count("one TURN user, from one address"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	if r.inBooks(func() int {
		if r.s.books.unused.over("u", netip.MustParseAddrPort("192.0.2.1:9"), r.s.core.clock.now()) {
			return 1
		}
		return 0
	}) != 0 {
		t.Error("the user is refused elsewhere")
	}
	r.advance(101 * unusedInterval)
	r.dial("udp", "u", "p").allocate()
	r.advance(unusedBurst * unusedInterval)
	eventually(t, "all is forgotten", func() bool {
		return r.inBooks(func() int { return len(r.s.books.unused.counts) }) == 0
	})
}
