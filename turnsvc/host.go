package turnsvc

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"time"
)

// RelayAddress is an address that the server relays on.
type RelayAddress struct {
	// Bind is the local address that relay sockets are bound to, Public the one that clients are
	// told: the same, unless the box stands behind 1:1 NAT. Both are of one family.
	Bind, Public netip.Addr
}

// relayAddresses holds one of each family, or the zero RelayAddress where there is none.
type relayAddresses [2]RelayAddress

// familyIndex is where an address's family stands in relayAddresses, and its port pool in the
// books.
func familyIndex(ip netip.Addr) int {
	if ip.Is4() {
		return 0
	}
	return 1
}

// SetRelays sets the addresses that allocations get from now on, at most one of each family and at
// least one in all. Running allocations keep theirs and stay reachable.
func (s *Server) SetRelays(list []RelayAddress) error {
	var next relayAddresses
	for _, r := range list {
		i := familyIndex(r.Bind)
		switch {
		case !r.Bind.IsValid() || !r.Public.IsValid() || r.Bind.Is4() != r.Public.Is4() || r.Bind.Is4In6() ||
			r.Public.Is4In6():
			return fmt.Errorf("turn relay address %v (public %v): want two addresses of one family", r.Bind, r.Public)
		case next[i].Bind.IsValid():
			return fmt.Errorf("turn relay addresses %v and %v: want one of each family", next[i].Bind, r.Bind)
		}
		next[i] = r
	}
	if next == (relayAddresses{}) {
		return errors.New("turn relay addresses: want at least one")
	}
	s.relays.Store(&next)
	return nil
}

// host is what is known of this host's addresses. The books write it; it is immutable.
type host struct {
	relays *relayAddresses // those in force
	// own are all addresses of this host, relayed those that live or future allocations are reached
	// by.
	own, relayed map[netip.Addr]bool
	read         int64 // clock
}

// hostInterval is how often the host's addresses are read again: they change with DHCP, VPNs and
// containers.
const hostInterval = 10 * time.Second

// followHost takes over what SetRelays said and, if it is time, what addresses this host has by
// now. Permissions that were granted under other circumstances are judged again: what was a
// stranger's address may have become ours.
func (b *books) followHost(now int64) {
	relays, old := b.s.relays.Load(), b.s.host.Load()
	if relays == old.relays && now-old.read < int64(hostInterval) {
		return
	}
	next := &host{relays: relays, own: map[netip.Addr]bool{}, relayed: map[netip.Addr]bool{}, read: now}
	for _, r := range relays {
		if r.Bind.IsValid() {
			next.relayed[r.Bind], next.relayed[r.Public] = true, true
		}
	}
	all := b.list()
	for _, a := range all {
		next.relayed[a.relayed.Addr()], next.relayed[a.relay.addr.Addr()] = true, true
	}
	maps.Copy(next.own, next.relayed)
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		b.s.log.Warn("read this host's addresses", "err", err)
		maps.Copy(next.own, old.own)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				next.own[ip.Unmap()] = true
			}
		}
	}
	b.s.host.Store(next)
	if maps.Equal(next.own, old.own) && maps.Equal(next.relayed, old.relayed) {
		return
	}
	for _, a := range all {
		b.s.regrant(a, a.peers()...)
	}
}
