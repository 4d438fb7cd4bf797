// Package source says who counts as one client where clients are counted by their address, and holds
// what is counted so: rates, connections, bans, and the proxies whose word on a client's address is
// taken.
package source

import (
	"net/http"
	"net/netip"

	"signalbox/internal/netaddr"
)

// Of is the block of addresses that counts as one client: an IPv4 address, or the /64 that one IPv6
// host commands (RFC 6177 §2), so that counting its single addresses would limit nobody. A client
// without an address is the zero Prefix.
func Of(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // an error only for the zero Addr, and then the zero Prefix serves
	return p
}

// OfRequest is the address that a request came from, or that a trusted proxy says it came from; the
// zero Addr if it has none.
func OfRequest(r *http.Request) netip.Addr { return netaddr.Of(r.RemoteAddr) }
