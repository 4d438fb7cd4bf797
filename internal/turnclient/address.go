package turnclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Address is where a STUN or TURN server is.
type Address struct {
	Relays    bool   // turn: or turns:
	Transport string // udp, tcp or tls
	Host      string // as the URL names it, without brackets
	Addr      netip.AddrPort
}

// String is the address without its host's name.
func (a Address) String() string {
	scheme := "stun"
	if a.Relays {
		scheme = "turn"
	}
	return scheme + "/" + a.Transport + " " + a.Addr.String()
}

// ParseURL reads a URL of RFC 7064 or RFC 7065. The address has only the port: At finds the rest.
// The error for TURN over DTLS is errors.ErrUnsupported.
func ParseURL(url string) (a Address, err error) {
	scheme, rest, found := strings.Cut(url, ":")
	rest, query, _ := strings.Cut(rest, "?")
	a = Address{Relays: scheme == "turn" || scheme == "turns", Transport: "udp"}
	port := "3478"
	switch {
	case !found || !slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme):
		return a, fmt.Errorf("%q is not a stun: or turn: URL", url)
	case strings.HasSuffix(scheme, "s"):
		a.Transport, port = "tls", "5349"
		if query == "transport=udp" {
			return a, fmt.Errorf("TURN over DTLS, which no browser uses: %w", errors.ErrUnsupported)
		}
	case query == "transport=tcp":
		a.Transport = "tcp"
	}
	a.Host = rest
	if host, given, err := net.SplitHostPort(rest); err == nil {
		a.Host, port = host, given
	}
	a.Host = strings.Trim(a.Host, "[]")
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || a.Host == "" {
		return a, fmt.Errorf("%q names no host and port", url)
	}
	a.Addr = netip.AddrPortFrom(netip.Addr{}, uint16(n))
	return a, nil
}

// At returns the address at the first IP address of each family that its host has, IPv4 first.
func (a Address) At(ctx context.Context) ([]Address, error) {
	all, err := a.All(ctx)
	if err != nil {
		return nil, err
	}
	family := func(x, y Address) bool { return x.Addr.Addr().Is4() == y.Addr.Addr().Is4() }
	return slices.CompactFunc(all, family), nil
}

// All returns the address at every IP address that its host has, IPv4 first.
func (a Address) All(ctx context.Context) ([]Address, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", a.Host)
	if err != nil {
		return nil, err
	}
	var out []Address
	for _, v4 := range []bool{true, false} {
		for _, ip := range addrs {
			if ip = ip.Unmap(); ip.Is4() == v4 {
				one := a
				one.Addr = netip.AddrPortFrom(ip, a.Addr.Port())
				out = append(out, one)
			}
		}
	}
	return out, nil
}
