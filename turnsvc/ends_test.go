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

// A crowd of allocations that end has a thousand lines, and one that sums up the rest, at the end
// of the period or of the server.
func TestIssue16FloodOfEnds(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	e := newCore(time.Now, log.Logger()).ends
	for i := range 3 * endsOfSource {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 2)}), uint16(i))
		e.note(&allocation{client: at, link: &streamLink{}, why: endKicked, issued: strings.Repeat("工", 100)})
	}
	e.lines.settle(true)
	if n := log.Count("why=kicked"); n != endsOfAll {
		t.Errorf("%d lines", n)
	}
	if n := log.Count(fmt.Sprint("more=", 3*endsOfSource-endsOfAll)); n != 1 {
		t.Errorf("the rest was summed up %d times", n)
	}
}
