package source

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/netaddr"
)

// Proxies are the reverse proxies that we trust to name their clients' addresses.
type Proxies []netip.Prefix

// Trust reports whether ip is one of them. The unspecified address, which stands for clients whom a
// proxy can't name, never is: not even where everybody is trusted.
func (p Proxies) Trust(ip netip.Addr) bool { return !ip.IsUnspecified() && netaddr.Contains(p, ip) }

// FromClient sets RemoteAddr of requests from trusted proxies to the address of their client, with
// port 0. Everything that counts or limits by source uses RemoteAddr. From other requests it takes
// X-Forwarded-Proto away, so that what is left is a proxy's word.
func (p Proxies) FromClient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := OfRequest(r)
		client := p.forwardedFor(proxy, r.Header.Values("X-Forwarded-For"))
		made := !p.Trust(proxy) && r.Header.Get(forwardedProto) != ""
		if client != proxy || made {
			r = r.WithContext(r.Context()) // a copy
		}
		if client != proxy {
			r.RemoteAddr = netip.AddrPortFrom(client, 0).String()
		}
		if made {
			r.Header = r.Header.Clone()
			r.Header.Del(forwardedProto)
		}
		next.ServeHTTP(w, r)
	})
}

const forwardedProto = "X-Forwarded-Proto"

// Scheme is "https" if a request that FromClient has passed came over TLS, to the box or to a
// trusted proxy, and else "http".
func Scheme(r *http.Request) string {
	if r.TLS != nil || strings.EqualFold(r.Header.Get(forwardedProto), "https") {
		return "https"
	}
	return "http"
}

// forwardedFor walks from one hop to the previous one as long as a trusted proxy vouches for it.
// Each proxy appends the address that it got the request from, so a client's own entries are to the
// left of its real address.
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
