package turnsvc

import (
	"net/netip"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// A permission for the box's own address is for its relays, in both directions: another program on
// the box reaches no client by it. What else is the kernel's own is tested in scripts/lab.
func TestAttackF2GrantForRelaysHoldsInwards(t *testing.T) {
	each(t, func(o *Options) { o.AllowLoopback = false }, func(t *testing.T, r *rig, transport string) {
		a, b := r.dial(transport, "u", "p"), r.dial("udp", "v", "q")
		ra, rb := a.allocate(), b.allocate()
		service := r.peer()
		a.refused(403, wire.MethodChannelBind, withChannel(0x4000), withPeer(service.LocalAddr().String()))
		a.ok(wire.MethodCreatePermission, withPeer(rb.String()))
		b.ok(wire.MethodCreatePermission, withPeer(ra.String()))
		for range 3 {
			if _, err := service.WriteToUDPAddrPort([]byte("from the box itself"), ra); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all are denied", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 3 })
		b.write(b.sendFrame(ra.String(), "from a relay"))
		if p, _, data := a.received(); p != rb || data != "from a relay" {
			t.Errorf("got %q of %v", data, p)
		}
	})
}

// The whole of 127.0.0.0/8 is the kernel's own, though interfaces have one address of it.
func TestAttackF2TheJudgeAsksTheKernel(t *testing.T) {
	r := newRig(t, nil)
	for ip, want := range map[string]bool{
		"127.9.9.9": true, "::ffff:127.9.9.9": true, "64:ff9b::7f09:909": true, "198.41.0.4": false,
		"64:ff9b::c629:4": false,
	} {
		for _, relay := range []string{"127.0.0.1", "::1"} {
			got, ok := r.s.judge.delivered(netip.MustParseAddr(ip), netip.MustParseAddr(relay))
			if (got != want || !ok) && r.s.judge.routes.Load() != nil {
				t.Errorf("%s from %s: %v, %v", ip, relay, got, ok)
			}
		}
	}
}
