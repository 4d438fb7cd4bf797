package source

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/netaddr"
)

// Proxies are reverse proxies, whose word on the addresses of their clients is taken.
type Proxies []netip.Prefix

// Trust reports whether ip is one of them.
func (p Proxies) Trust(ip netip.Addr) bool { return netaddr.Contains(p, ip) }

// FromClient gives requests that trusted proxies forward the address of their client as RemoteAddr,
// with port 0: whatever counts or limits by source looks there.
func (p Proxies) FromClient(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := OfRequest(r)
		if client := p.forwardedFor(proxy, r.Header.Values("X-Forwarded-For")); client != proxy {
			r = r.WithContext(r.Context()) // a copy
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

// forwardedFor walks from one hop to the one before it for as long as a trusted proxy vouches for
// that. Each proxy appends whom it has heard from, so what a client wrote stands to the left of the
// client's own address.
func (p Proxies) forwardedFor(hop netip.Addr, headers []string) netip.Addr {
	list := strings.Split(strings.Join(headers, ","), ",")
	for _, entry := range slices.Backward(list) {
		if !p.Trust(hop) {
			break
		}
		before, ok := forwardedAddr(strings.TrimSpace(entry))
		if !ok {
			break
		}
		hop = before
	}
	return hop
}

// forwardedAddr reads an address as proxies write it: "192.0.2.1", "2001:db8::1", either with a
// port, or in brackets.
func forwardedAddr(s string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		at, err := netip.ParseAddrPort(s)
		if err != nil {
			return ip, false
		}
		ip = at.Addr()
	}
	return ip.Unmap().WithZone(""), true
}
