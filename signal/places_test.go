package signal

import (
	"net/netip"
	"testing"
	"time"

	"signalbox/internal/source"
)

// A line of IPv6 has not the places of a source for each of its /64s.
func TestAttackF5PlacesOfALine(t *testing.T) {
	t.Parallel()
	p, n := places{bySource: map[netip.Prefix]taken{}}, 0
	line := func(i int) netip.Prefix {
		return source.Of(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i), 7: byte(i >> 8)}))
	}
	for i := range 1000 {
		if !p.full(line(i), 8, taken.inSessions) {
			p.take(line(i), 1, 1)
			n++
		}
	}
	if n != 32 {
		t.Errorf("a /48 has %d places, want 32", n)
	}
	if neighbor := source.Of(netip.MustParseAddr("2001:db8:1::1")); p.full(neighbor, 8, taken.inAll) {
		t.Error("its neighbor has none")
	}
	for i := range n {
		p.take(line(i), -1, -1)
	}
	if p.all != 0 || len(p.bySource) != 0 {
		t.Errorf("%d places are left, in %d blocks", p.all, len(p.bySource))
	}
}

func TestSourcesArePaced(t *testing.T) {
	t.Parallel()
	p, now := pace(2), time.Now()
	ada, bob := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range 2 * paceBurst {
		if !p.Allow(ada, now) {
			t.Fatalf("only %d at once", n)
		}
	}
	if p.Allow(ada, now) || !p.Allow(bob, now) || !p.Allow(ada, now.Add(time.Second)) {
		t.Error("the pace is wrong")
	}
	var none *source.Limiter // how many it remembers is tested there
	if !none.Allow(ada, now) {
		t.Error("no pace limits")
	}
}
