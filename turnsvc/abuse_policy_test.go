package turnsvc

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// Lines 1 to 8 of the abuse list: what no client may reach, in every spelling, by every way there
// is, from allocations of both families.

var abusePeers = []struct {
	name  string
	peers []string
}{
	{"01Loopback", []string{"127.0.0.2", "127.255.255.254"}}, // ::1 is a relay's here: TestIPv6PeerPolicy has it
	{"02Unspecified", []string{"0.0.0.0", "0.1.2.3", "::"}},
	{"03MappedAndCompatible", []string{"::ffff:127.0.0.1", "::ffff:0.0.0.0", "::127.0.0.1", "::ffff:10.0.0.1",
		"::ffff:0:127.0.0.1", "::ffff:0:10.0.0.1"}},
	{"04Tunnels", []string{"64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::",
		"2001:0:1:1:1:1:80ff:fffe"}},
	{"05Metadata", []string{"169.254.169.254", "168.63.129.16", "100.100.100.200", "::ffff:169.254.169.254",
		"fd00:ec2::254", "64:ff9b::a9fe:a9fe"}},
	{"06SpecialPurpose", []string{
		"10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.0.1", "100.64.0.1", "192.0.0.1", "192.0.2.1",
		"192.88.99.1", "198.18.0.1", "198.19.255.254",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"fe80::1", "fc00::1", "fdff::1", "fec0::1", "ff02::1", "100::1", "2001:db8::1",
	}},
}

// abuseWays try to reach a peer. None may leave a permission, or get a packet out.
var abuseWays = map[string]func(c *client, peer string){
	"CreatePermission": func(c *client, peer string) {
		c.refused(403, wire.MethodCreatePermission, withPeer(peer))
	},
	"ChannelBind and ChannelData": func(c *client, peer string) {
		c.refused(403, wire.MethodChannelBind, withChannel(0x4000), withPeer(peer))
		c.write(c.channelFrame(0x4000, "let me in"))
	},
	"Send": func(c *client, peer string) { c.write(c.sendFrame(peer, "let me in")) },
	"among good ones": func(c *client, peer string) {
		good := "[2001:4860:4860::8888]:9"
		if netip.MustParseAddrPort(peer).Addr().Is4() {
			good = "8.8.8.8:9"
		}
		c.refused(403, wire.MethodCreatePermission, withPeer(good), withPeer(peer))
	},
}

func TestAbuse01To06Peers(t *testing.T) {
	needIPv6(t)
	for _, tc := range abusePeers {
		t.Run(tc.name, func(t *testing.T) {
			each(t, func(o *Options) { o.AllowLoopback = false; behindNAT(o) },
				func(t *testing.T, r *rig, transport string) {
					v4, v6 := r.dial(transport, "u", "p"), r.dial(transport, "u", "p")
					v4.allocate()
					v6.allocate(withFamily(wire.FamilyIPv6))
					for _, ip := range tc.peers {
						c, other := v4, v6
						if netip.MustParseAddr(ip).Is6() {
							c, other = v6, v4
						}
						peer := netip.AddrPortFrom(netip.MustParseAddr(ip), 9).String()
						for way, try := range abuseWays {
							try(c, peer)
							for _, a := range r.s.Snapshot().Allocations {
								if len(a.Permissions) != 0 || a.Channels != 0 || a.FromClientPackets != 0 {
									t.Fatalf("%s by %s: permissions %v, %d channels, %d packets", ip, way,
										a.Permissions,
										a.Channels, a.FromClientPackets)
								}
							}
						}
						// nor from an allocation of the other family
						other.refused(443, wire.MethodCreatePermission, withPeer(peer))
					}
					sends := uint64(len(tc.peers))
					eventually(t, "every Send and ChannelData is dropped", func() bool {
						d := r.s.Snapshot().Drops
						return d["no-permission"] == sends && d["no-channel"] == sends
					})
				})
		})
	}
}

// Line 7: this host's addresses lead to live relay ports and to nothing else, packet by packet.
func TestAbuse07OwnAddresses(t *testing.T) {
	each(t, func(o *Options) { o.AllowLoopback = false; o.AllowPeers = prefixes("0.0.0.0/0") },
		func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate()
			// The rig relays on 127.0.0.1, so a permission for it is granted: for relays. A service
			// of the host's own there stays out of reach.
			service := r.peer()
			c.refused(403, wire.MethodChannelBind, withChannel(0x4000), withPeer(service.LocalAddr().String()))
			c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
			c.write(c.sendFrame(service.LocalAddr().String(), "hello, admin port"))
			c.write(c.sendFrame(r.addr["udp"], "hello, TURN in TURN"))
			eventually(t, "both are denied", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 2 })
			if err := service.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if n, _, err := service.ReadFromUDPAddrPort(make([]byte, 100)); err == nil {
				t.Errorf("%d bytes reached a port of the host's own", n)
			}
			// Other addresses of the host's are not even granted.
			for ip := range r.s.judge.host.Load().own {
				if !ip.Is4() || ip.IsLoopback() {
					continue
				}
				c.refused(403, wire.MethodCreatePermission, withPeer(netip.AddrPortFrom(ip, 22).String()))
			}
		})
}

// Line 8: an operator's list opens what it names, and no more; deny wins. (That a malformed entry
// stops the start is a test of the configuration.)
func TestAbuse08OperatorLists(t *testing.T) {
	each(t, func(o *Options) {
		o.AllowLoopback = false
		o.AllowPeers, o.DenyPeers = prefixes("10.1.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
			prefixes("10.1.2.0/24", "8.8.8.0/24")
	}, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		for peer, want := range map[string]int{
			"10.1.0.1": 0, "10.1.255.254": 0, "10.0.255.255": 403, "10.2.0.0": 403, "10.1.2.3": 403, "8.8.8.8": 403,
			"8.8.4.4":   0,
			"127.0.0.2": 403, "169.254.169.254": 403, // never, whatever the list says
		} {
			if m := c.request(wire.MethodCreatePermission, withPeer(peer+":9")); m.code() != want {
				t.Errorf("%s: code %d, want %d", peer, m.code(), want)
			}
		}
	})
}

// Line 25: quotas hold, for every class, and come back (TestQuotaComesBack).
func TestAbuse25Quotas(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser = 2 }, func(t *testing.T, r *rig, transport string) {
		r.s.Opened("s", "", netip.MustParseAddr("203.0.114.1"))
		for _, class := range []cred.Class{cred.Hub, cred.Shared} {
			// Another credential of the same principal is no way around it.
			for i := range 4 {
				c := r.minted(transport, class, "s", time.Hour+time.Duration(i)*time.Minute)
				if m := c.request(wire.MethodAllocate, withUDP); (m.code() == 486) != (i >= 2) {
					t.Errorf("%v, allocation %d: code %d", class, i, m.code())
				}
			}
		}
	})
}

// "any" opens the internet and private networks, not what leads to neither: tunnels whose far end
// is anybody, addresses that are no host's, clouds' metadata.
func TestAttackF10AnyIsNotEverything(t *testing.T) {
	t.Parallel()
	s := &scope{}
	for ip, want := range map[string]bool{
		"8.8.8.8": true, "10.0.0.1": true, "192.168.1.1": true, "100.64.0.1": true, "2606:4700::1": true,
		"fd12::1": true, "64:ff9b::808:808": true, "64:ff9b::a00:1": true,

		"2002:808:808::1": false, "2002:a00:1::": false, "2001:0:808:808::f7f7:f7f7": false,
		"::ffff:8.8.8.8": false, "::808:808": false,
		"100::1": false, "100:0:0:1::1": false, "5f00::1": false, "4000::1": false,
		"2001:db8::1": false, "3fff::1": false, "2001:2::1": false, "2001:20::1": false,
		"192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "198.18.0.1": false, "192.88.99.1": false,
		"192.0.0.8": false, "64:ff9b::c000:201": false,
		"fd00:ec2::254": false, "fd00:ec2::23": false, "fd00:ec2:ffff::1": false, "fd00:a9fe:a9fe::1": false,
		"fd00:42::42": false, "169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "100.100.100.200": false,
	} {
		g := (&policy{static: PeersAny}).decide(s, netip.MustParseAddr(ip), nil, nil)
		if g.outside != want {
			t.Errorf("%s: open %v, want %v", ip, g.outside, want)
		}
	}
	// Metadata stays closed even where the operator has opened its network.
	open := &policy{allow: prefixes("fc00::/7"), static: PeersAny}
	if g := open.decide(s, netip.MustParseAddr("fd00:ec2::123"), nil, nil); g.outside {
		t.Error("fd00:ec2::123 is opened by allow_peers")
	}
	each(t, func(o *Options) { o.AllowLoopback = false; o.StaticPeers = PeersAny; behindNAT(o) },
		func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate()
			c.refused(403, wire.MethodCreatePermission, withPeer("203.0.113.1:9"))
			c.ok(wire.MethodCreatePermission, withPeer("10.9.9.9:9"))
		})
}

// plainGrant is the peer policy as the design says it, without a thought for speed.
func plainGrant(p *policy, s *scope, peer netip.Addr, own, relays map[netip.Addr]bool) grant {
	in := func(list []netip.Prefix, ip netip.Addr) bool {
		for _, prefix := range list {
			if prefix.Contains(ip) {
				return true
			}
		}
		return false
	}
	g := grant{inside: relays[peer]}
	if p.allowLoopback && peer.IsLoopback() {
		g.outside = true
		return g
	}
	if own[peer] || relays[peer] {
		return g
	}
	for _, ip := range append([]netip.Addr{peer}, netaddr.Embedded(peer)...) {
		switch {
		case netaddr.Never(ip), own[ip] && ip != peer, in(p.deny, ip):
			return g
		case in(p.allow, ip):
			continue
		case p.static == PeersAny && netaddr.Usable(ip):
			continue
		case !netaddr.Global(ip), p.static == PeersNone:
			return g
		case p.static == PeersPublic:
			continue
		case s.member == nil:
			return g
		}
		if !plainlyReached(p, s, ip) {
			return g
		}
	}
	g.outside = true
	return g
}

func plainlyReached(p *policy, s *scope, ip netip.Addr) bool {
	for g := range s.member.seats.Load().groups {
		for m := range g.members {
			if m.seen[ip] != 0 || p.static == PeersSignaled && m.claimed[ip] {
				return true
			}
		}
	}
	return false
}

// The policy agrees with its plain reading, whatever the lists, the rooms and the peer.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1}, byte(8), byte(16), byte(1), byte(3))
	f.Add([]byte{203, 0, 114, 2}, byte(0), byte(0), byte(1), byte(1))
	f.Add(netip.MustParseAddr("64:ff9b::cb00:7202").AsSlice(), byte(0), byte(32), byte(2), byte(7))
	f.Add(netip.MustParseAddr("2002:a00:1::").AsSlice(), byte(12), byte(0), byte(4), byte(2))
	f.Fuzz(func(t *testing.T, raw []byte, allowBits, denyBits, mode, rooms byte) {
		peer, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		p := &policy{allowLoopback: rooms&0x80 != 0}
		list := func(bits byte) []netip.Prefix {
			if bits == 0 || int(bits) > peer.BitLen() {
				return nil
			}
			prefix, _ := peer.Prefix(int(bits))
			return []netip.Prefix{prefix}
		}
		p.allow, p.deny = list(allowBits), list(denyBits)
		r := newRooms(0)
		for i := range 4 {
			id := fmt.Sprint(i)
			r.opened(id, "", netip.AddrFrom4([4]byte{203, 0, 114, byte(i)}))
			r.claim(id, netip.AddrFrom4([4]byte{203, 0, 115, byte(i)}))
			r.joined(fmt.Sprint("room", rooms>>i&1), id)
		}
		s := &scope{rooms: r}
		p.static = Peers(mode % 5)
		if rooms&0x40 == 0 {
			s.member = r.members["1"]
		}
		own, relays := map[netip.Addr]bool{}, map[netip.Addr]bool{}
		if mode&0x10 != 0 {
			own[peer] = true
		}
		if mode&0x20 != 0 {
			own[peer], relays[peer] = true, true
		}
		if inner := netaddr.Embedded(peer); mode&0x40 != 0 && len(inner) > 0 {
			own[inner[0]] = true
		}
		if got, want := p.decide(s, peer, own, relays), plainGrant(p, s, peer, own, relays); got != want {
			t.Errorf("peer %v, peers %d, allow %v, deny %v: %+v, want %+v", peer, p.static, p.allow, p.deny, got, want)
		}
	})
}
