package turnsvc

import (
	"net/netip"
	"testing"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

func ports(t testing.TB, list ...string) (out []netaddr.Ports) {
	t.Helper()
	for _, s := range list {
		p, ok, err := netaddr.ParsePorts(s)
		if !ok || err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		out = append(out, p)
	}
	return out
}

// Named ports are all that is open at an address of this host, or at one that is closed otherwise;
// what is closed to everybody stays closed, and so do the ports at which the box is served.
func TestNamedPortsOpenNothingElse(t *testing.T) {
	t.Parallel()
	served := new(portSet)
	served.add(3478)
	s, err := newSettings(Live{
		Keys: cred.NewKeys(testSecret), StaticPeers: PeersPublic, DenyPeers: prefixes("10.9.0.0/16"),
		AllowPeers: prefixes("203.0.114.10/32"),
		AllowPorts: ports(t, "203.0.114.10:10000", "203.0.114.10:3000-4000", "10.0.0.0/8:7000", "[2001:db8::1]:10000",
			"127.0.0.1:10000", "169.254.169.254:80", "[64:ff9b::cb00:720a]:10000"),
	}, false, served)
	if err != nil {
		t.Fatal(err)
	}
	here := netip.MustParseAddr("203.0.114.10")
	own := map[netip.Addr]bool{here: true, netip.MustParseAddr("2001:db8::1"): true}
	for peer, want := range map[string]bool{
		"203.0.114.10:10000": true, "203.0.114.10:10001": false, "203.0.114.10:3000": true, "203.0.114.10:4000": true,
		"203.0.114.10:4001": false, "203.0.114.10:2999": false, "203.0.114.10:3478": false,
		"[2001:db8::1]:10000": true, "[2001:db8::1]:9": false,
		"10.1.2.3:7000": true, "10.1.2.3:7001": false, "10.9.0.1:7000": false,
		"127.0.0.1:10000": false, "169.254.169.254:80": false, "[64:ff9b::cb00:720a]:10000": false,
		"[::ffff:203.0.114.10]:10000": false, "203.0.115.1:9": true,
	} {
		at := netip.MustParseAddrPort(peer)
		if g := s.policy.decide(&scope{class: cred.Static}, at.Addr(), own, nil); g.passes(at) != want {
			t.Errorf("%s: %+v, want %v", peer, g, want)
		}
	}
	// Elsewhere the same port is another server's.
	at := netip.MustParseAddrPort("203.0.114.10:3478")
	if g := s.policy.decide(&scope{class: cred.Static}, at.Addr(), nil, nil); !g.passes(at) {
		t.Errorf("another host's port: %+v", g)
	}
}

// An SFU behind the same public address as the box: what is named is granted, what can carry
// nothing is 403, and a reload changes both.
func TestIssue16PermissionsThatCarryNothingAreRefused(t *testing.T) {
	const here = "198.51.100.7"
	each(t, func(o *Options) { behindNAT(o); o.AllowLoopback = false; o.AllowPorts = ports(t, here+":10000") },
		func(t *testing.T, r *rig, transport string) {
			a, b := r.dial(transport, "u", "p"), r.dial("udp", "v", "q")
			a.allocate()
			relay := b.allocate()
			a.ok(wire.MethodCreatePermission, withPeer(here+":10000"))
			a.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(here+":10000"))
			a.ok(wire.MethodCreatePermission, withPeer(relay.String()))
			a.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(relay.String()))
			a.ok(wire.MethodCreatePermission, withPeer(here+":0"))
			// A browser that is refused one relay, which is over, asks for no other there.
			b.ok(wire.MethodRefresh, withLifetime(0))
			a.ok(wire.MethodCreatePermission, withPeer(relay.String()))
			a.refused(403, wire.MethodCreatePermission, withPeer(here+":10001"))
			a.refused(403, wire.MethodChannelBind, withChannel(0x4002), withPeer(here+":10001"))

			a.write(a.sendFrame(here+":10001", "to another service"))
			eventually(t, "it is denied", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 1 })

			l := r.s.judge.settings.Load().Live
			l.AllowPorts = ports(t, here+":10001")
			if err := r.s.Apply(l); err != nil {
				t.Fatal(err)
			}
			a.refused(403, wire.MethodCreatePermission, withPeer(here+":10000"))
			a.ok(wire.MethodCreatePermission, withPeer(here+":10001"))
			a.write(a.channelFrame(0x4000, "to what was open"))
			eventually(t, "it is denied, too", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 2 })
		})
}

// The check of a port allocates nothing.
func TestNamedPortsCostNoMemory(t *testing.T) {
	served := new(portSet)
	g := grant{}.limited(&opening{ports(t, "10.0.0.0/8:7000", "203.0.114.10:10000"), served})
	at := netip.MustParseAddrPort("203.0.114.10:10000")
	if n := testing.AllocsPerRun(100, func() {
		if !g.passes(at) {
			t.Error("closed")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
