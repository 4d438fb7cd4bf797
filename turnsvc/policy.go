package turnsvc

import (
	"net/netip"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc/cred"
)

// Peers says which peers a class of credentials may reach, besides relays of this box and peers
// that the operator allows.
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
	// PeersAny: those, and any of private networks.
	PeersAny
)

// policy decides which peers an allocation may reach. It is immutable.
type policy struct {
	allow, deny   []netip.Prefix
	allowLoopback bool
	hub, static   Peers // of the hub's credentials; of static users and shared secrets
	// named are the ports that the operator has opened at other hosts, namedHere those at this one.
	named, namedHere opening
}

// scope is what a policy needs to know of the allocation that asks.
type scope struct {
	class  cred.Class
	member *member // the session that the credential belongs to; nil for other classes
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

// reaches reports whether a scope has the address, which no list has decided on.
func (p *policy) reaches(s *scope, peer netip.Addr) bool {
	switch peers := p.peersOf(s.class); peers {
	case PeersAny:
		return netaddr.Usable(peer)
	case PeersPublic:
		return netaddr.Global(peer)
	case PeersRoom, PeersSignaled:
		return s.member != nil && s.rooms.reaches(s.member, peer, peers == PeersSignaled)
	}
	return false
}

// grant is what a permission for one address allows. The zero grant allows nothing.
type grant struct {
	// inside: the relay passes packets to its own ports at this address in process.
	inside bool
	// outside: packets may leave through the relay socket, and come in by it.
	outside bool
	// only are the ports that outside is for; nil: all.
	only *opening
}

// passes reports whether packets may leave to peer, which has the permission's address, and come
// from it.
func (g grant) passes(peer netip.AddrPort) bool {
	return g.outside && (g.only == nil || g.only.holds(peer))
}

// everywhere reports whether packets may leave to all ports.
func (g grant) everywhere() bool { return g.outside && g.only == nil }

// limited is what is left of a grant if only some ports, or none, are open.
func (g grant) limited(to *opening) grant {
	g.outside, g.only = to != nil, to
	return g
}

// decide returns what an allocation of that scope may do with peer. own are the addresses of this
// host, relayed those that it relays on. Own addresses are reachable only at ports where an
// allocation relays, and at those that the operator has named, so no network in a list leads to
// another port of the box.
func (p *policy) decide(s *scope, peer netip.Addr, own, relayed map[netip.Addr]bool) grant {
	peer = peer.WithZone("")
	g := grant{inside: relayed[peer]}
	switch {
	case p.allowLoopback && peer.IsLoopback():
		g.outside = true
		return g
	case own[peer] || g.inside:
		return g.limited(p.portsOf(peer, &p.namedHere))
	case !p.opens(s, peer):
		return g.limited(p.portsOf(peer, &p.named))
	}
	g.outside = true
	for _, inner := range netaddr.Embedded(peer) {
		// It must not reach what its IPv4 spelling would not.
		g.outside = g.outside && !own[inner] && p.opens(s, inner)
	}
	return g
}

// portsOf returns from if it holds ports of peer that may be reached, else nil.
func (p *policy) portsOf(peer netip.Addr, from *opening) *opening {
	if !from.at(peer) || netaddr.Never(peer) || netaddr.Contains(p.deny, peer) || len(netaddr.Embedded(peer)) > 0 {
		return nil
	}
	return from
}

// common names the rule by which a class may not reach peer, in the words of the configuration, but
// for what is denied.
func (p *policy) common(c cred.Class, peer netip.Addr) string {
	switch {
	case netaddr.Never(peer):
		return "an address that nothing is relayed to"
	case !netaddr.Global(peer):
		return "not a public address: turn.allow_peers"
	case c == cred.Hub || c == cred.ICE:
		return "not in the room: turn.peers"
	}
	return "not allowed: turn.static_peers"
}

// opens applies the lists to one spelling of an address.
func (p *policy) opens(s *scope, peer netip.Addr) bool {
	switch {
	case netaddr.Never(peer), netaddr.Contains(p.deny, peer):
		return false
	case netaddr.Contains(p.allow, peer):
		return true
	}
	return p.reaches(s, peer)
}
