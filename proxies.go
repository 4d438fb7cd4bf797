package signalbox

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// requestSource is the address that a request came from; the zero Addr if it has none.
func requestSource(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap().WithZone("")
}

// trusts reports whether ip is a proxy of web.trusted_proxies.
func (a *App) trusts(ip netip.Addr) bool { return containsAddr(a.proxies, ip) }

func containsAddr(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// fromClient gives requests that trusted proxies forward the address of their client as RemoteAddr,
// with port 0: whatever counts or limits by source looks there.
func (a *App) fromClient(next http.Handler) http.Handler {
	if len(a.proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := requestSource(r)
		if client := a.forwardedFor(proxy, r.Header.Values("X-Forwarded-For")); client != proxy {
			r = r.WithContext(r.Context()) // a copy
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		next.ServeHTTP(w, r)
	})
}

// forwardedFor walks from one hop to the one before it for as long as a trusted proxy vouches for
// that. Each proxy appends whom it has heard from, so what a client wrote stands to the left of the
// client's own address.
func (a *App) forwardedFor(hop netip.Addr, headers []string) netip.Addr {
	list := strings.Split(strings.Join(headers, ","), ",")
	for _, entry := range slices.Backward(list) {
		if !a.trusts(hop) {
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
