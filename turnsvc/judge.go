package turnsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/netaddr"
)

// judge decides on grants by the settings in force, the rooms, and this host's addresses. When one
// of these changes, it changes the grants of permissions.
type judge struct {
	log      *slog.Logger
	rooms    *rooms
	settings atomic.Pointer[settings]
	relays   atomic.Pointer[relayAddresses] // for allocations to come, as soon as follow has seen them
	host     atomic.Pointer[host]
	routes   atomic.Pointer[netaddr.Routes] // nil until the books run
	mute     atomic.Bool                    // the kernel did not answer, and that was logged

	// reviews makes judging and changing one step, so that no judgment of an earlier state
	// overwrites one of a later state. It is taken before an allocation's lock and the rooms'.
	reviews sync.Mutex
}

func newJudge(s *settings, log *slog.Logger) *judge {
	j := &judge{log: log, rooms: newRooms(int64(lingering))}
	j.settings.Store(s)
	j.host.Store(&host{})
	return j
}

// grantFor returns what an allocation may do with peer.
func (j *judge) grantFor(a *allocation, peer netip.Addr) grant {
	h := j.host.Load()
	g := j.settings.Load().policy.decide(&a.scope, peer, h.own, h.relayed)
	// The policy opens loopback for development only. All else that the kernel delivers here is
	// own, whether or not it is an interface's address. It is asked last: that costs some
	// microseconds.
	if g.outside && !peer.IsLoopback() && j.delivered(peer, a.relay.Addr.Addr()) {
		g.outside = false
	}
	return g
}

// openRoutes lets the judge ask the kernel for routes, until the returned func is called.
func (j *judge) openRoutes() (closeRoutes func()) {
	routes, err := netaddr.OpenRoutes()
	if err != nil {
		j.log.Warn("this host's own addresses are only those of its interfaces", "err", err)
	}
	j.routes.Store(routes)
	return routes.Close
}

// delivered reports whether the kernel delivers to this host what the relay sends to peer, in any
// spelling of it.
func (j *judge) delivered(peer, relay netip.Addr) bool {
	routes := j.routes.Load()
	for _, ip := range append(netaddr.Embedded(peer), peer.WithZone("")) {
		from := relay
		if from.Is4() != ip.Is4() {
			from = netip.Addr{}
		}
		own, err := routes.Own(ip, from)
		if err != nil && !j.mute.Swap(true) {
			j.log.Warn("this host's own addresses are only those of its interfaces", "err", err)
		}
		if own {
			return true
		}
	}
	return false
}

// review judges permissions of an allocation again.
func (j *judge) review(a *allocation, peers ...netip.Addr) {
	j.reviews.Lock()
	defer j.reviews.Unlock()
	for _, peer := range peers {
		a.regrant(peer, j.grantFor(a, peer)) // judged before the allocation's lock is taken: it asks the rooms
	}
}

// RelayAddress is an address that the server relays on.
type RelayAddress struct {
	// Bind is the local address that relay sockets bind to, Public the address that clients are
	// told. They are the same unless the box is behind 1:1 NAT. Both are of one family.
	Bind, Public netip.Addr
}

// relayAddresses holds one of each family, or the zero RelayAddress if there is none.
type relayAddresses [2]RelayAddress

// familyIndex is the index of an address's family in relayAddresses and in the books' port pools.
func familyIndex(ip netip.Addr) int {
	if ip.Is4() {
		return 0
	}
	return 1
}

// setRelays is Server.SetRelays.
func (j *judge) setRelays(list []RelayAddress) error {
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
	j.relays.Store(&next)
	return nil
}

// host is what is known of this host's addresses. It is immutable.
type host struct {
	relays *relayAddresses // those in force
	// own are all addresses of this host; relayed are those at which peers reach allocations,
	// running and future ones.
	own, relayed map[netip.Addr]bool
	read         int64 // clock
}

// hostInterval is how often the judge reads the host's addresses again: they change with DHCP, VPNs
// and containers.
const hostInterval = 10 * time.Second

// follow puts the addresses that setRelays got into force and, if it is time, reads this host's
// addresses again. If they have changed, or a route to this host has come, it reviews all
// permissions: a peer's address may now be the host's own. The books call it, and list the
// allocations.
func (j *judge) follow(now int64, list func() []*allocation) {
	relays, old := j.relays.Load(), j.host.Load()
	rerouted := j.routes.Load().Changed()
	if relays == old.relays && now-old.read < int64(hostInterval) && !rerouted {
		return
	}
	next := &host{relays: relays, own: map[netip.Addr]bool{}, relayed: map[netip.Addr]bool{}, read: now}
	for _, r := range relays {
		if r.Bind.IsValid() {
			next.relayed[r.Bind], next.relayed[r.Public] = true, true
		}
	}
	all := list()
	for _, a := range all {
		next.relayed[a.relayed.Addr()], next.relayed[a.relay.Addr.Addr()] = true, true
	}
	maps.Copy(next.own, next.relayed)
	own, err := netaddr.Own()
	if err != nil {
		j.log.Warn("read this host's addresses", "err", err)
		maps.Copy(next.own, old.own)
	}
	for _, ip := range own {
		next.own[ip] = true
	}
	j.host.Store(next)
	if maps.Equal(next.own, old.own) && maps.Equal(next.relayed, old.relayed) && !rerouted {
		return
	}
	for _, a := range all {
		j.review(a, a.peers()...)
	}
}
