package turnsvc

import (
	"encoding/binary"
	"net/netip"

	"signalbox/turnsvc/cred"
)

// never are the peers that no configuration opens (but --dev opens loopback): what they reach is
// the host itself, its link, or a cloud's metadata service.
var never = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32",
	"::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8",
	"fd00:ec2::254/128", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128",
)

// nonGlobal are addresses that the internet does not route (RFC 6890 and its registry): only an
// operator's allow list opens them. Of IPv6 that is all but 2000::/3, and what is special in that.
var nonGlobal = prefixes(
	"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
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

// embedded4 returns the IPv4 addresses that a gateway on the way may take an IPv6 address for.
// Which of them, only the gateway knows.
func embedded4(ip netip.Addr) []netip.Addr {
	if !ip.Is6() {
		return nil
	}
	b := ip.As16()
	at := func(b0, b1, b2, b3 byte) netip.Addr { return netip.AddrFrom4([4]byte{b0, b1, b2, b3}) }
	last := at(b[12], b[13], b[14], b[15])
	prefix := binary.BigEndian.Uint32(b[:])
	switch {
	case ip.Is4In6(), prefix == 0 && [12]byte(b[:12]) == [12]byte{}:
		return []netip.Addr{last} // mapped, compatible
	case prefix == 0 && [8]byte(b[4:12]) == [8]byte{4: 0xFF, 5: 0xFF}:
		return []netip.Addr{last} // translated (RFC 2765)
	case prefix == 0x0064FF9B:
		// NAT64. In the local prefix it may stand where RFC 6052 §2.2 puts it behind 96, 64, 56 or
		// 48 bits; a zero is filling.
		out := []netip.Addr{last}
		for _, a := range [...]netip.Addr{at(b[9], b[10], b[11], b[12]), at(b[7], b[9], b[10], b[11]),
			at(b[6], b[7], b[9], b[10])} {
			if a.As4()[0] != 0 {
				out = append(out, a)
			}
		}
		return out
	case prefix>>16 == 0x2002:
		return []netip.Addr{at(b[2], b[3], b[4], b[5])} // 6to4
	case prefix == 0x20010000:
		return []netip.Addr{at(b[4], b[5], b[6], b[7]), at(^b[12], ^b[13], ^b[14], ^b[15])} // Teredo: server, client
	case b[8]&^3 == 0 && b[9] == 0 && b[10] == 0x5E && b[11] == 0xFE:
		return []netip.Addr{last} // ISATAP
	}
	return nil
}

// Peers says what peers a class of credentials may reach, besides relays of this box and what the
// operator allows.
type Peers uint8

const (
	// PeersNone: relays of this box only.
	PeersNone Peers = iota
	// PeersRoom: addresses at which members of the credential's rooms have been seen.
	PeersRoom
	// PeersSignaled: those, and what the members' candidates claim.
	PeersSignaled
	// PeersPublic: any address that the internet routes.
	PeersPublic
	// PeersAny: all that is not refused to everybody.
	PeersAny
)

// policy decides which peers an allocation may reach. It is immutable.
type policy struct {
	allow, deny   []netip.Prefix
	allowLoopback bool
	hub, static   Peers // of the hub's credentials; of static users and shared secrets
}

// scope is what a policy needs to know of the allocation that asks.
type scope struct {
	peers  Peers
	member *member // of the hub's; else nil
	rooms  *rooms
}

// peersOf returns what a class may reach.
func (p *policy) peersOf(c cred.Class) Peers {
	switch c {
	case cred.Hub:
		return p.hub
	case cred.ICE:
		return PeersNone
	default:
		return p.static
	}
}

// reaches reports whether the scope has the address, which no list has decided on.
func (s *scope) reaches(peer netip.Addr) bool {
	switch s.peers {
	case PeersAny:
		return true
	case PeersPublic:
		return global(peer)
	case PeersRoom, PeersSignaled:
		return s.member != nil && s.rooms.reaches(s.member, peer, s.peers == PeersSignaled)
	}
	return false
}

// global reports whether the internet routes the address.
func global(ip netip.Addr) bool {
	return ip.IsValid() && !contains(never, ip) && !contains(nonGlobal, ip)
}

// grant is what a permission for one address allows.
type grant struct {
	// relays: packets to this address's live relay ports are handed over in process.
	relays bool
	// wire: packets may leave through the relay socket.
	wire bool
}

// grant returns what an allocation of that scope may do with peer, which is the zero grant if it is
// refused. own are the addresses of this host, relays those that it relays on: own addresses are
// reachable at live relay ports only, whatever the lists say, so that no peer address leads to
// another port of the box.
func (p *policy) grant(s *scope, peer netip.Addr, own, relays map[netip.Addr]bool) grant {
	peer = peer.WithZone("")
	g := grant{relays: relays[peer]}
	switch {
	case p.allowLoopback && peer.IsLoopback():
		g.wire = true
	case own[peer] || g.relays, !p.open(s, peer):
	default:
		g.wire = true
		for _, inner := range embedded4(peer) {
			// It must not reach what its IPv4 spelling would not.
			g.wire = g.wire && !own[inner] && p.open(s, inner)
		}
	}
	return g
}

// open applies the lists to one spelling of an address.
func (p *policy) open(s *scope, peer netip.Addr) bool {
	switch {
	case contains(never, peer), contains(p.deny, peer):
		return false
	case contains(p.allow, peer):
		return true
	}
	return s.reaches(peer)
}
