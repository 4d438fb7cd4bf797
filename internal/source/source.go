// Package source decides who counts as one client when clients are counted by their address. It
// holds the rates, connections and bans counted so, and the proxies that may name a client's
// address.
package source

import (
	"net/http"
	"net/netip"

	"signalbox/internal/netaddr"
)

// Of returns the block of addresses that counts as one client: an IPv4 address, or the /64 that one
// IPv6 host controls (RFC 6177 §2), since limits on its single addresses would limit nobody. A
// client without an address is the zero Prefix.
func Of(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // an error only for the zero Addr, and then the zero Prefix serves
	return p
}

// MaxBlocks is how many blocks a client counts in at most.
const MaxBlocks = 3

// Blocks returns those in which a client counts, the narrowest first: its source's and, of IPv6,
// the wider ones that one line is given (RFC 6177): /56 and /48. So a line has not the limit of a
// source for each of its /64s. But neighbors may share a wide block: a mobile carrier gives each
// phone a /64, next to each other. So a wider block may have more, see MayHold; what is not held
// may come faster, see Limiter and Guesses.
func Blocks(ip netip.Addr) []netip.Prefix {
	list, n := blocks(ip)
	return list[:n] // inlined, the list stays on the caller's stack
}

func blocks(ip netip.Addr) (list [MaxBlocks]netip.Prefix, n int) {
	list[0] = Of(ip)
	narrow := list[0].Addr()
	if !narrow.Is6() {
		return list, 1
	}
	list[1], _ = narrow.Prefix(56) // it has so many
	list[2], _ = narrow.Prefix(lineBits)
	return list, MaxBlocks
}

// MayHold is how much of what is held, such as connections, the block of that index in Blocks may
// have, where a source may have limit: each twice as much as the one before.
func MayHold[N int | uint64](limit N, index int) N { return limit << index }

// lineBits is the length of the widest block that one line of IPv6 is given.
const lineBits = 48

// Line returns the last one of Blocks: all that one line may have.
func Line(ip netip.Addr) netip.Prefix {
	if ip.Is6() && !ip.Is4In6() {
		p, _ := ip.Prefix(lineBits) // no error for an IPv6 address
		return p
	}
	return Of(ip)
}

// OfRequest returns the address that a request came from, or that a trusted proxy says it came
// from; the zero Addr if it has none.
func OfRequest(r *http.Request) netip.Addr { return netaddr.Of(r.RemoteAddr) }
