package turnsvc

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	"signalbox/internal/netaddr"
)

// RelayAddress is an address that the server relays on.
type RelayAddress struct {
	// Bind is the local address that relay sockets bind to, Public the address that clients are
	// told. They are the same unless the box is behind 1:1 NAT. Both are of one family.
	Bind, Public netip.Addr
}

// relayAddresses holds one of each family, or the zero RelayAddress if there is none.
type relayAddresses [2]RelayAddress

// byDefault returns the index of the family for a client that asks for none.
func (r *relayAddresses) byDefault(f Family, client netip.Addr) int {
	switch f {
	case FamilyIPv6:
		return 1
	case FamilyOfClient:
		i := familyIndex(client)
		if !r[i].Bind.IsValid() && r[1-i].Bind.IsValid() {
			return 1 - i
		}
		return i
	}
	return 0
}

// lack says why there is no relay address of a family.
func (r *relayAddresses) lack(family int) string {
	switch {
	case !r[1-family].Bind.IsValid():
		return "this machine has no address to relay on"
	case family == 0:
		return `the relay has no IPv4 address: turn.default_family = "auto" gives clients what there is`
	}
	return "the relay has no IPv6 address"
}

// familyIndex is the index of an address's family in relayAddresses and in the books' port pools.
func familyIndex(ip netip.Addr) int {
	if ip.Is4() {
		return 0
	}
	return 1
}

// host is what is known of this host's addresses. It is immutable.
type host struct {
	relays *relayAddresses // for allocations to come
	// own are all addresses of this host; relayed are those at which peers reach allocations,
	// running and future ones.
	own, relayed map[netip.Addr]bool
	read         int64 // clock; 0: never
}

func (h *host) addRelayed(addrs ...netip.Addr) {
	for _, ip := range addrs {
		h.own[ip], h.relayed[ip] = true, true
	}
}

func (h *host) same(as *host) bool {
	return maps.Equal(h.own, as.own) && maps.Equal(h.relayed, as.relayed)
}

// setRelays is Server.SetRelays. list returns the allocations.
func (j *judge) setRelays(relays []RelayAddress, list func() []*allocation) error {
	var next relayAddresses
	for _, r := range relays {
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
	if j.relayOn(&next) {
		j.reviewAll(list())
	}
	return nil
}

// relayOn puts relay addresses into force. It reports whether peers may have permissions for them.
// Former ones stay known until the host's addresses are read again: allocations may have them.
func (j *judge) relayOn(relays *relayAddresses) (changed bool) {
	j.looks.Lock()
	defer j.looks.Unlock()
	old := j.host.Load()
	next := &host{relays: relays, own: map[netip.Addr]bool{}, relayed: map[netip.Addr]bool{}, read: old.read}
	maps.Copy(next.own, old.own)
	maps.Copy(next.relayed, old.relayed)
	for _, r := range relays {
		if r.Bind.IsValid() {
			next.addRelayed(r.Bind, r.Public)
		}
	}
	j.host.Store(next)
	return !next.same(old)
}

const (
	// hostInterval is how often the judge reads the host's addresses again: they change with DHCP,
	// VPNs and containers.
	hostInterval = 10 * time.Second
	// routeInterval is how often it looks whether routes have changed.
	routeInterval = 250 * time.Millisecond
	// rest is how long it rests after it has read addresses and reviewed permissions, in times of
	// how long that took: routes that change on and on take a fifth of one core.
	rest = 4
)

// follow reviews all permissions if routes to this host may have come, if the kernel answers again,
// or, when it is time to look, if its addresses have changed: a peer's address may now be the
// host's own. It never runs twice at once.
func (j *judge) follow(now int64, list func() []*allocation) {
	rerouted := j.routes.Load().Changed()
	due := now-j.host.Load().read >= int64(hostInterval)
	if failed := j.failed.Load(); failed != nil {
		if _, err := j.ask(j.routes.Load(), failed.to, failed.from); err == nil {
			j.failed.Store(nil)
			j.log.Info("the relay can ask the kernel for routes again")
			rerouted = true // or may have been: what was not answered is asked now
		}
	}
	if (due || rerouted) && j.look(now, list) || rerouted {
		j.reviewAll(list())
	}
}

// look reads this host's addresses, and reports whether they have changed.
func (j *judge) look(now int64, list func() []*allocation) (changed bool) {
	own, err := netaddr.Own()
	j.looks.Lock()
	defer j.looks.Unlock()
	old := j.host.Load()
	next := &host{relays: old.relays, own: map[netip.Addr]bool{}, relayed: map[netip.Addr]bool{}, read: now}
	for _, r := range old.relays {
		if r.Bind.IsValid() {
			next.addRelayed(r.Bind, r.Public)
		}
	}
	for _, a := range list() {
		next.addRelayed(a.relayed.Addr(), a.relay.Addr.Addr())
	}
	if err != nil {
		j.log.Warn("read this host's addresses", "err", err)
		maps.Copy(next.own, old.own)
	}
	for _, ip := range own {
		next.own[ip] = true
	}
	j.host.Store(next)
	return !next.same(old)
}
