package turnsvc

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

func TestRelaysOfBothFamilies(t *testing.T) {
	needIPv6(t)
	for _, transport := range []string{"udp", "tcp", "udp6"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			for family, ip := range map[byte]string{wire.FamilyIPv4: "127.0.0.1", wire.FamilyIPv6: "::1"} {
				c := r.dial(transport, "u", "p")
				// ADDITIONAL-ADDRESS-FAMILY may be ignored.
				relayed := c.allocate(withFamily(family), attr(0x8000, wire.FamilyIPv6, 0, 0, 0))
				if relayed.Addr().String() != ip {
					t.Fatalf("relayed transport address %v, want %s", relayed, ip)
				}
				peer := r.peerAt(ip)
				at := peer.LocalAddr().String()
				other := map[byte]string{wire.FamilyIPv4: "[::1]:9", wire.FamilyIPv6: "127.0.0.1:9"}[family]
				c.refused(443, wire.MethodCreatePermission, withPeer(at), withPeer(other))
				c.refused(443, wire.MethodChannelBind, withChannel(0x4000), withPeer(other))
				c.refused(443, wire.MethodRefresh, withFamily(3-family))
				c.ok(wire.MethodRefresh, withFamily(family))
				c.ok(wire.MethodCreatePermission, withPeer(at))
				c.write(c.sendFrame(at, "by indication"))
				if data, from := readPeer(t, peer); data != "by indication" || from != relayed {
					t.Errorf("the peer got %q from %v, want it from %v", data, from, relayed)
				}
				if _, err := peer.WriteToUDPAddrPort([]byte("back"), relayed); err != nil {
					t.Fatal(err)
				}
				if p, _, data := c.received(); p.String() != at || data != "back" {
					t.Errorf("got %q of %v", data, p)
				}
				c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(at))
				c.write(c.channelFrame(0x4001, "on a channel"))
				if data, _ := readPeer(t, peer); data != "on a channel" {
					t.Errorf("the peer got %q", data)
				}
				if _, err := peer.WriteToUDPAddrPort([]byte("and back"), relayed); err != nil {
					t.Fatal(err)
				}
				if _, n, data := c.received(); n != 0x4001 || data != "and back" {
					t.Errorf("got %q on channel %#x", data, n)
				}
			}
			r.dial(transport, "u", "p").refused(440, wire.MethodAllocate, withUDP, withFamily(3))
			if a := r.dial(transport, "u", "p").allocate(); !a.Addr().Is4() {
				t.Errorf("without a wish the relayed transport address is %v, want IPv4", a)
			}
		})
	}
}

func TestNoRelayOfThatFamily(t *testing.T) {
	needIPv6(t)
	each(t, func(o *Options) { o.Relays = o.Relays[:1] }, func(t *testing.T, r *rig, transport string) {
		r.dial(transport, "u", "p").refused(440, wire.MethodAllocate, withUDP, withFamily(wire.FamilyIPv6))
	})
	each(t, func(o *Options) { o.Relays = o.Relays[1:] }, func(t *testing.T, r *rig, transport string) {
		r.dial(transport, "u", "p").refused(440, wire.MethodAllocate, withUDP)
		r.dial(transport, "u", "p").allocate(withFamily(wire.FamilyIPv6))
	})
}

// 5 of the operators' reports: who asks for no family gets IPv4 or is refused, unless the operator
// has it otherwise; and while there is no address to relay on at all, everybody is refused.
func TestFamilyByDefault(t *testing.T) {
	needIPv6(t)
	for name, c := range map[string]struct {
		by   Family
		have func([]RelayAddress) []RelayAddress
		want map[string]string // by transport; empty: 440
	}{
		"as the standard says": {FamilyIPv4, both, map[string]string{"udp": "127.0.0.1", "udp6": "127.0.0.1"}},
		"without IPv4":         {FamilyIPv4, onlyIPv6, map[string]string{"udp": "", "udp6": "", "tcp": ""}},
		"IPv6":                 {FamilyIPv6, both, map[string]string{"udp": "::1", "udp6": "::1"}},
		"the client's": {FamilyOfClient, both, map[string]string{"udp": "127.0.0.1", "tcp": "127.0.0.1",
			"udp6": "::1"}},
		"the only one": {FamilyOfClient, onlyIPv6, map[string]string{"udp": "::1", "udp6": "::1", "tcp": "::1"}},
		"none":         {FamilyOfClient, neither, map[string]string{"udp": "", "udp6": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { o.Relays, o.DefaultFamily = c.have(o.Relays), c.by })
			for transport, want := range c.want {
				client := r.dial(transport, "u", "p")
				if want == "" {
					client.refused(440, wire.MethodAllocate, withUDP)
					continue
				}
				if got := client.allocate().Addr().String(); got != want {
					t.Errorf("over %s: relayed on %s, want %s", transport, got, want)
				}
			}
		})
	}
}

func both(all []RelayAddress) []RelayAddress     { return all }
func onlyIPv6(all []RelayAddress) []RelayAddress { return all[1:] }
func neither([]RelayAddress) []RelayAddress      { return nil }

// An address that comes is relayed on from then on.
func TestTheFirstRelayAddressComesLate(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Relays = nil })
	c := r.dial("udp", "u", "p")
	c.refused(440, wire.MethodAllocate, withUDP)
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if err := r.s.SetRelays([]RelayAddress{{loopback, loopback}}); err != nil {
		t.Fatal(err)
	}
	c.allocate()
}

func TestIPv6RelayToRelayInProcess(t *testing.T) {
	needIPv6(t)
	each(t, func(o *Options) { behindNAT(o); o.AllowLoopback = false }, func(t *testing.T, r *rig, transport string) {
		a, b := r.dial(transport, "u", "p"), r.dial("tcp", "v", "q")
		ra, rb := a.allocate(withFamily(wire.FamilyIPv6)), b.allocate(withFamily(wire.FamilyIPv6))
		a.ok(wire.MethodCreatePermission, withPeer(rb.String()))
		b.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(ra.String()))
		a.write(a.sendFrame(rb.String(), "hello"))
		if _, n, data := b.received(); n != 0x4000 || data != "hello" {
			t.Errorf("got %q on channel %#x", data, n)
		}
		b.write(b.channelFrame(0x4000, "well met"))
		if p, _, data := a.received(); p != rb || data != "well met" {
			t.Errorf("got %q of %v", data, p)
		}
		a.write(a.sendFrame("[2001:db8::7]:22", "ssh"))
		eventually(t, "the drop is counted", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 1 })
	})
}

// What stands for an address that is refused is refused, whichever way it is written, and whatever
// the operator has opened.
func TestIPv6PeerPolicy(t *testing.T) {
	needIPv6(t)
	const public = "[2001:db9::1]:9"
	refused := []string{
		"::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1", "::ffff:169.254.169.254", "::169.254.169.254",
		"::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:0:169.254.169.254",
		"64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1:7f00:0:100::",
		"2002:7f00:1::", "2002:a9fe:a9fe::1",
		"2002:a00:1::", "2001:0:7f00:1::", "2001::80ff:fffe", "2001:db9::5efe:7f00:1", "fe80::1", "fec0::1", "ff02::1",
		"fd00:ec2::254", "fd20:ce::254",
	}
	nonGlobal := []string{"fc00::1", "fd12::1", "100::1", "2001:db8::1", "2001:2::1", "3fff::1", "5f00::1", "4000::1",
		"64:ff9b::808:808", "2002:808:808::1", "::808:808", "::ffff:0:808:808"}
	check := func(t *testing.T, c *client, want int, list []string) {
		t.Helper()
		for _, ip := range list {
			peer := fmt.Sprintf("[%s]:9", ip)
			for method, attrs := range map[uint16][]setter{
				wire.MethodCreatePermission: {withPeer(public), withPeer(peer)},
				wire.MethodChannelBind:      {withChannel(0x4000), withPeer(peer)},
			} {
				if m := c.request(method, attrs...); m.code() != want || !m.SignedBy(c.key) {
					t.Errorf("%s, method %#x: code %d (signed: %v), want %d", ip, method, m.code(), m.SignedBy(c.key),
						want)
				}
			}
		}
	}
	// The relays of these tests are bound to ::1, which so is a relay's address; elsewhere it is
	// closed.
	for _, p := range []policy{{static: PeersPublic}, {allow: prefixes("::/0"), static: PeersPublic}} {
		if g := p.decide(&scope{}, netip.IPv6Loopback(), nil, nil); g != (grant{}) {
			t.Errorf("::1: %+v", g)
		}
	}
	// This host's own IPv4 addresses are closed in every spelling, even where the operator has
	// opened everything.
	everything, own := policy{allow: prefixes("::/0", "0.0.0.0/0"), static: PeersAny},
		map[netip.Addr]bool{netip.MustParseAddr("198.51.100.7"): true}
	for _, ip := range []string{"198.51.100.7", "::ffff:198.51.100.7", "::198.51.100.7", "::ffff:0:198.51.100.7",
		"64:ff9b::c633:6407", "2002:c633:6407::1"} {
		if g := everything.decide(&scope{}, netip.MustParseAddr(ip), own, nil); g != (grant{}) {
			t.Errorf("%s: %+v", ip, g)
		}
	}
	t.Run("by default", func(t *testing.T) {
		each(t, func(o *Options) { o.AllowLoopback = false; behindNAT(o) },
			func(t *testing.T, r *rig, transport string) {
				c := r.dial(transport, "u", "p")
				c.allocate(withFamily(wire.FamilyIPv6))
				check(t, c, 403, refused)
				check(t, c, 403, nonGlobal)
				if p := r.s.Snapshot().Allocations[0].Permissions; len(p) != 0 {
					t.Errorf("refused requests installed %v", p)
				}
				c.ok(wire.MethodCreatePermission, withPeer(public),
					withPeer("[2001:db8::7]:0")) // and this box's own relays
				ice := r.minted(transport, cred.ICE, "x", time.Hour)
				ice.allocate(withFamily(wire.FamilyIPv6))
				ice.refused(403, wire.MethodCreatePermission, withPeer(public))
				ice.ok(wire.MethodCreatePermission, withPeer("[2001:db8::7]:0"))
			})
	})
	t.Run("with everything allowed", func(t *testing.T) {
		each(t, func(o *Options) {
			o.AllowLoopback = false
			o.AllowPeers = prefixes("::/0")
			o.DenyPeers = prefixes("8.8.4.0/24", "2001:db9:1::/48")
		}, func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate(withFamily(wire.FamilyIPv6))
			// It opens IPv6 addresses; private IPv4 ones stay closed in every spelling.
			check(t, c, 403, refused)
			check(t, c, 403, []string{"64:ff9b::808:404", "::ffff:8.8.4.4", "::ffff:0:8.8.4.4", "2001:db9:1::1"})
			for _, ip := range nonGlobal {
				c.ok(wire.MethodCreatePermission, withPeer("["+ip+"]:9"))
			}
		})
	})
}

func TestPublicAddressChangesWhileRunning(t *testing.T) {
	each(t, func(o *Options) { behindNAT(o); o.AllowLoopback = false }, func(t *testing.T, r *rig, transport string) {
		const newcomer = "198.51.100.8"
		older := r.dial(transport, "u", "p")
		old := older.allocate()
		before := r.dial(transport, "v", "q")
		before.allocate()
		before.refused(403, wire.MethodCreatePermission, withPeer(newcomer+":9"))

		if err := r.s.SetRelays([]RelayAddress{{Bind: netip.MustParseAddr("127.0.0.1"),
			Public: netip.MustParseAddr(newcomer)}}); err != nil {
			t.Fatal(err)
		}
		newer := r.dial(transport, "u", "p")
		fresh := newer.allocate()
		if fresh.Addr().String() != newcomer || old.Addr().String() != "198.51.100.7" {
			t.Fatalf("relayed transport addresses %v, then %v", old, fresh)
		}
		// Each is reached where its client was told it is, and nowhere else.
		older.ok(wire.MethodCreatePermission, withPeer(fresh.String()))
		newer.ok(wire.MethodCreatePermission, withPeer(old.String()))
		older.write(older.sendFrame(fresh.String(), "from the old address"))
		if p, _, data := newer.received(); p != old || data != "from the old address" {
			t.Errorf("got %q of %v", data, p)
		}
		newer.write(newer.sendFrame(old.String(), "from the new address"))
		if p, _, data := older.received(); p != fresh || data != "from the new address" {
			t.Errorf("got %q of %v", data, p)
		}
		newer.write(newer.sendFrame(netip.AddrPortFrom(old.Addr(), fresh.Port()).String(), "astray"))
		eventually(t, "the drop is counted", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 1 })

		// Once nobody relays on the old address, it is a stranger's.
		older.ok(wire.MethodRefresh, withLifetime(0))
		before.ok(wire.MethodRefresh, withLifetime(0))
		r.advance(hostInterval)
		eventually(t, "the old address is forgotten", func() bool {
			return newer.request(wire.MethodCreatePermission, withPeer(old.String())).code() == 403
		})
	})
}

// A peer's address that becomes this box's own must not lead to its other ports for as long as a
// permission lasts.
func TestPermissionIsJudgedAgainWhenTheAddressBecomesOurs(t *testing.T) {
	each(t, func(o *Options) { o.AllowPeers = prefixes("127.0.0.9/32", "198.51.100.0/24"); o.AllowLoopback = false },
		func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate()
			c.ok(wire.MethodCreatePermission, withPeer("198.51.100.9:22"))
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("198.51.100.9:22"))
			r.s.SetRelays([]RelayAddress{{Bind: netip.MustParseAddr("127.0.0.1"),
				Public: netip.MustParseAddr("198.51.100.9")}})
			c.ok(wire.MethodRefresh) // the books look at every request
			c.write(c.sendFrame("198.51.100.9:22", "ssh"))
			c.write(c.channelFrame(0x4000, "ssh"))
			eventually(t, "both are dropped", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 2 })
		})
}

func TestSetRelaysRefuses(t *testing.T) {
	r := newRig(t, nil)
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, bad := range [][]RelayAddress{{{}}, {{Bind: v4}}, {{v4, v6}}, {{v4, v4}, {v4, v4}},
		{{netip.MustParseAddr("::ffff:192.0.2.1"), v6}}} {
		if r.s.SetRelays(bad) == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}
