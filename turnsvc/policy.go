package turnsvc

import (
	"net/netip"

	"signalbox/turnsvc/cred"
)

// never are the peers that no configuration opens (but --dev opens loopback): what they reach is the host itself, its
// link, or a cloud's metadata service.
var never = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
	"::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128",
)

// nonGlobal are addresses that the internet does not route (RFC 6890 and its registry): only an operator's allow list opens them.
var nonGlobal = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func contains(list []netip.Prefix, ip netip.Addr) bool {
	for _, p := range list {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// embedded4 returns the IPv4 address that an IPv6 one stands for: mapped, compatible, NAT64 (RFC 6052, RFC 8215), 6to4.
func embedded4(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	if ip.Is4In6() {
		return ip.Unmap(), true
	}
	b := ip.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	switch {
	case netip.PrefixFrom(netip.IPv6Unspecified(), 96).Contains(ip),
		netip.MustParsePrefix("64:ff9b::/96").Contains(ip),
		netip.MustParsePrefix("64:ff9b:1::/48").Contains(ip):
		return last, true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// policy decides which peers an allocation may reach. It is immutable but for the host's own addresses.
type policy struct {
	allow, deny   []netip.Prefix
	allowLoopback bool
}

// grant is what a permission for one address allows.
type grant struct {
	// relays: packets to this address's live relay ports are handed over in process.
	relays bool
	// wire: packets may leave through the relay socket.
	wire bool
}

// grant returns what an allocation of class c may do with peer, which is the zero grant if it is refused.
// own are the addresses of this host, relays those that it relays on: own addresses are reachable at live relay ports only, whatever
// the lists say, so that no peer address leads to another port of the box.
func (p *policy) grant(c cred.Class, peer netip.Addr, own, relays map[netip.Addr]bool) grant {
	peer = peer.WithZone("")
	g := grant{relays: relays[peer]}
	switch {
	case p.allowLoopback && peer.IsLoopback():
		g.wire = true
	case p.refused(peer), own[peer] || g.relays:
	case contains(p.allow, peer):
		g.wire = true
	case contains(nonGlobal, peer), c == cred.ICE:
	default:
		g.wire = true
	}
	return g
}

func (p *policy) refused(peer netip.Addr) bool {
	if contains(never, peer) || contains(p.deny, peer) {
		return true
	}
	inner, ok := embedded4(peer)
	return ok && (contains(never, inner) || contains(p.deny, inner))
}
