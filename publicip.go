package signalbox

import (
	"fmt"
	"net"
	"net/netip"
)

// address is an address and the reason why it was chosen.
type address struct {
	ip  netip.Addr
	why string
}

// relayAddresses decides what relay sockets are bound to and what clients are told, in the order: an explicit key, an
// explicit listen address, the interface of the default route, loopback. Both are IPv4.
func relayAddresses(c *Config) (relay, public address, err error) {
	local, err := localAddrs()
	if err != nil {
		return relay, public, fmt.Errorf("read this machine's addresses: %w", err)
	}
	isLocal := func(ip netip.Addr) bool { return containsAddr(local, ip) }

	if len(c.PublicIP) == 1 && c.PublicIP[0] != "auto" {
		public = address{netip.MustParseAddr(c.PublicIP[0]), "public_ip says so"}
	}
	switch {
	case c.TURN.RelayIP != "":
		relay = address{netip.MustParseAddr(c.TURN.RelayIP), "turn.relay_ip says so"}
		if !isLocal(relay.ip) {
			return relay, public, fmt.Errorf("turn.relay_ip: this machine has no address %s: it has %v", relay.ip, local)
		}
	case public.ip.IsValid() && isLocal(public.ip):
		relay = public
	default:
		relay = localAddress(c)
	}
	if !public.ip.IsValid() {
		public = relay
	}
	return relay, public, nil
}

// localAddress picks the address of this machine that others most probably reach it by.
func localAddress(c *Config) address {
	for _, s := range c.TURN.Listen {
		if a, err := listenAddr(s); err == nil && a.Addr().Is4() && !a.Addr().IsUnspecified() {
			return address{a.Addr(), "turn.listen names it"}
		}
	}
	// Connecting a UDP socket sends nothing: the system only looks up the route, and so the address it would use.
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})
	if err == nil {
		defer conn.Close()
		if ip, ok := netip.AddrFromSlice(conn.LocalAddr().(*net.UDPAddr).IP); ok && !ip.Unmap().IsUnspecified() {
			return address{ip.Unmap(), "the interface of the default route has it"}
		}
	}
	local, _ := localAddrs() // without addresses, loopback is all there is
	for _, ip := range local {
		if ip.Is4() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return address{ip, "no default route; this machine has it"}
		}
	}
	return address{netip.AddrFrom4([4]byte{127, 0, 0, 1}), "this machine has no other address"}
}

// localAddrs lists this machine's unicast addresses without link-local ones, which a client could not name without a zone.
func localAddrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if ip, ok := netip.AddrFromSlice(n.IP); ok && !ip.IsMulticast() && (!ip.IsLinkLocalUnicast() || ip.Unmap().Is4()) {
			out = append(out, ip.Unmap())
		}
	}
	return out, nil
}

func containsAddr(list []netip.Addr, ip netip.Addr) bool {
	for _, a := range list {
		if a == ip {
			return true
		}
	}
	return false
}

// scopeNote says in words when an address is one that the internet does not route.
func scopeNote(ip netip.Addr) string {
	switch {
	case ip.IsLoopback():
		return "a loopback address: only this machine itself can use the relay"
	case ip.IsPrivate():
		return "a private address: fine on this network; for callers from elsewhere set public_ip to the address they reach this box by"
	case netip.MustParsePrefix("100.64.0.0/10").Contains(ip):
		return "a carrier's shared address (CGNAT): callers from elsewhere can't reach it; set public_ip if there is a public one"
	}
	return ""
}
