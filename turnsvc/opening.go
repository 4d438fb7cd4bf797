package turnsvc

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"signalbox/internal/netaddr"
)

// opening is what the operator has opened by port. It is immutable, but for the ports in closed.
type opening struct {
	ports  []netaddr.Ports
	closed *portSet // ports that stay closed whatever else is said; nil: none
}

// at reports whether the opening has ports at ip.
func (o *opening) at(ip netip.Addr) bool {
	return slices.ContainsFunc(o.ports, func(p netaddr.Ports) bool { return p.Network.Contains(ip) })
}

// holds reports whether a port is open. The packet path asks it.
func (o *opening) holds(at netip.AddrPort) bool {
	if o.closed != nil && o.closed.has(at.Port()) {
		return false
	}
	for i := range o.ports {
		if o.ports[i].Holds(at) {
			return true
		}
	}
	return false
}

// portSet is a set of ports that grows. Its zero value is empty.
type portSet [1 << 16 / 32]atomic.Uint32

func (s *portSet) add(port uint16) { s[port/32].Or(1 << (port % 32)) }

func (s *portSet) has(port uint16) bool { return s[port/32].Load()&(1<<(port%32)) != 0 }
