package signal

import (
	"net/http"
	"net/netip"
)

// remoteAddr is the address at the other end of the connection; the zero Addr if it is none, as with a Unix socket.
func remoteAddr(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// sourceBlock is whom SessionsPerSource counts as one. An IPv6 host commands a whole /64 (RFC 6177 §2), so that
// counting its single addresses would limit nobody.
func sourceBlock(source netip.Addr) netip.Prefix {
	source = source.Unmap().WithZone("")
	if !source.IsValid() {
		return netip.Prefix{}
	}
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(source, bits).Masked()
}
