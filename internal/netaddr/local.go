package netaddr

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Own lists every address of this machine's interfaces.
func Own() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read this machine's addresses: %w", err)
	}
	var out []netip.Addr
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}

// Local lists this machine's unicast addresses, without the link-local ones of IPv6, which a client
// could not name without a zone.
func Local() ([]netip.Addr, error) {
	own, err := Own()
	return slices.DeleteFunc(own, func(ip netip.Addr) bool {
		return ip.IsMulticast() || ip.Is6() && ip.IsLinkLocalUnicast()
	}), err
}
