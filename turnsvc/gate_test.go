package turnsvc

import (
	"net/netip"
	"testing"
	"time"
)

// A flood in a client's name, which uses up the answers to its address, does not keep it from a new nonce: its call would end.
func TestFloodInAClientsNameEndsNoCall(t *testing.T) {
	each(t, func(o *Options) { o.Limits.UnauthorizedPerSource = 1 }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		flood := r.dial("udp", "u", "wrong")
		flood.nonce = []byte("of the past")
		here := netip.MustParseAddr("127.0.0.1")
		dropped := func() uint64 { return r.s.Snapshot().Drops["rate-limited"] }
		for range 3 { // whenever a second begins, one answer is to be had
			c.nonce = r.s.nonces.append(nil, here, r.s.clock.wall().Add(-time.Hour))
			before := dropped()
			flood.write(flood.unsigned(methodAllocate, withUDP))
			flood.write(flood.build(methodRefresh))
			flood.write(flood.unsigned(methodAllocate, withUDP))
			eventually(t, "the limit is reached", func() bool { return dropped() > before })
			if m := c.answerTo(c.build(methodRefresh)); m.code() != 438 {
				t.Fatalf("a stale nonce: code %d, want 438", m.code())
			} else if c.nonce, _ = m.get(attrNonce); len(c.nonce) != nonceSize {
				t.Fatalf("NONCE %q", c.nonce)
			}
			if m := c.answerTo(c.build(methodRefresh)); m.class != classSuccess {
				t.Errorf("no recovery in one round trip, but %d", m.code())
			}
		}
	})
}
