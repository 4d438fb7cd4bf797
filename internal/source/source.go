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

// LineOf returns the widest block of addresses that one line is usually given: an IPv4 address, or
// a /48 (RFC 6177 §2). It takes for one who has many blocks that Of tells apart, and perhaps
// neighbors with them.
func LineOf(ip netip.Addr) netip.Prefix {
	p := Of(ip)
	if p.Addr().Is6() {
		p, _ = p.Addr().Prefix(48)
	}
	return p
}

// OfRequest returns the address that a request came from, or that a trusted proxy says it came
// from; the zero Addr if it has none.
func OfRequest(r *http.Request) netip.Addr { return netaddr.Of(r.RemoteAddr) }
