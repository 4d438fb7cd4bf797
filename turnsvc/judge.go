package turnsvc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
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
	host     atomic.Pointer[host]
	looks    sync.Mutex                     // makes reading of host and changing it one step
	routes   atomic.Pointer[netaddr.Routes] // nil: the kernel is not asked
	// ask is netaddr.Routes.Own. Tests replace it.
	ask func(r *netaddr.Routes, ip, from netip.Addr) (bool, error)
	// failed is what the kernel did not answer first, since the last review of all permissions;
	// nil: it has answered all. That was logged.
	failed atomic.Pointer[route]

	// reviews makes judging and changing one step, so that no judgment of an earlier state
	// overwrites one of a later state. It is taken before an allocation's lock and the rooms'.
	reviews sync.Mutex
}

func newJudge(s *settings, log *slog.Logger) *judge {
	j := &judge{log: log, rooms: newRooms(int64(lingering)), ask: (*netaddr.Routes).Own}
	j.settings.Store(s)
	j.host.Store(&host{relays: new(relayAddresses)})
	return j
}

// grantFor returns what an allocation may do with peer.
func (j *judge) grantFor(a *allocation, peer netip.Addr) grant {
	return j.decide(a, peer, new(question))
}

// rule names the rule by which an allocation may not do anything with peer, for the log, and what
// of it anybody may know: not which private addresses are the box's own, nor what the operator
// denies.
func (j *judge) rule(a *allocation, peer netip.Addr) (why, told string) {
	const own = "an address of the box itself"
	h, policy := j.host.Load(), j.settings.Load().policy
	told = policy.common(a.class, peer)
	switch {
	case h.relayed[peer] || h.own[peer] && netaddr.Global(peer):
		return own, own
	case h.own[peer]:
		return own, told
	case netaddr.Contains(policy.deny, peer):
		return "denied: turn.deny_peers", told
	}
	return told, told
}

// route is that to an address, from one of this host's or from any.
type route struct{ to, from netip.Addr }

// question is what the kernel was asked last, and its answer, if it gave one.
type question struct {
	peer, relay         netip.Addr
	delivered, answered bool
}

// decide is grantFor. It does not repeat the last question. Without an answer a permission keeps
// what it had, as far as the settings and the rooms allow that, and a new one opens no more than
// the ports that are named: calls don't end for a kernel that is short of memory for a moment.
func (j *judge) decide(a *allocation, peer netip.Addr, last *question) grant {
	h, relay := j.host.Load(), a.relay.Addr.Addr()
	p := &j.settings.Load().policy
	g := p.decide(&a.scope, peer, h.own, h.relayed)
	// The policy opens loopback for development only. All else that the kernel delivers here is
	// own, whether or not it is an interface's address. It is asked last: that costs some
	// microseconds.
	if g.outside && !peer.IsLoopback() {
		if last.peer != peer || last.relay != relay {
			delivered, answered := j.delivered(peer, relay)
			*last = question{peer, relay, delivered, answered}
		}
		if last.delivered || !last.answered && !a.granted(peer).everywhere() {
			g = g.limited(p.portsOf(peer.WithZone(""), &p.namedHere))
		}
	}
	return g
}

// openRoutes lets the judge ask the kernel for routes, until the returned func is called. Where
// that is impossible from the start, it knows of the interfaces' addresses only.
func (j *judge) openRoutes() (closeRoutes func()) {
	routes, err := netaddr.OpenRoutes()
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, errors.ErrUnsupported) {
			level = slog.LevelInfo // nothing is wrong with this machine
		}
		j.log.Log(context.Background(), level, "of this host's own addresses the relay knows those of its "+
			"interfaces only: put others that it answers to into turn.deny_peers", "err", err)
	}
	j.routes.Store(routes)
	return routes.Close
}

// delivered reports whether the kernel delivers to this host what the relay sends to peer, in any
// spelling of it; answered is false if the kernel couldn't be asked.
func (j *judge) delivered(peer, relay netip.Addr) (delivered, answered bool) {
	routes := j.routes.Load()
	for _, ip := range append(netaddr.Embedded(peer), peer.WithZone("")) {
		from := relay
		if from.Is4() != ip.Is4() {
			from = netip.Addr{}
		}
		own, err := j.ask(routes, ip, from)
		if err != nil && !errors.Is(err, net.ErrClosed) && j.failed.CompareAndSwap(nil, &route{ip, from}) {
			j.log.Error("the relay refuses all new peers outside until it can ask the kernel for routes again: "+
				"look for a limit of open files or of memory", "err", err)
		}
		if own || err != nil {
			return own, err == nil
		}
	}
	return false, true
}

// review judges permissions of an allocation again, as far as it has them.
func (j *judge) review(a *allocation, peers ...netip.Addr) {
	j.reviews.Lock()
	defer j.reviews.Unlock()
	for _, peer := range peers {
		if a.has(peer) {
			a.regrant(peer, j.grantFor(a, peer)) // judged before the allocation's lock is taken: it asks the rooms
		}
	}
}

// held is a permission of an allocation.
type held struct {
	peer netip.Addr
	by   *allocation
}

// reviewAll judges all permissions of the allocations again. That may take a second, so it is done
// in the goroutine of whoever changes something, or in one of its own, and others judge meanwhile.
func (j *judge) reviewAll(all []*allocation) {
	const atOnce = 1 << 16 // permissions, so that a crowd of them takes no more memory than that
	var list []held
	for i, a := range all {
		for _, peer := range a.peers() {
			list = append(list, held{peer, a})
		}
		if len(list) >= atOnce || i == len(all)-1 {
			j.reviewList(list)
			list = list[:0]
		}
	}
}

func (j *judge) reviewList(list []held) {
	slices.SortFunc(list, func(x, y held) int { // so that the kernel is asked once for each peer
		return cmp.Or(x.peer.Compare(y.peer), x.by.relay.Addr.Addr().Compare(y.by.relay.Addr.Addr()))
	})
	for len(list) > 0 {
		list = list[j.reviewSome(list):]
		runtime.Gosched() // to who waits for reviews
	}
}

// reviewTime is how long reviewAll keeps others from judging, at a stretch.
const reviewTime = 500 * time.Microsecond

// reviewSome reviews permissions for a short time, and returns how many. An answer of the kernel is
// used no longer than that, and for no judgment that follows one of somebody else's.
func (j *judge) reviewSome(list []held) int {
	j.reviews.Lock()
	defer j.reviews.Unlock()
	last := new(question)
	for i, began := 0, time.Now(); i < len(list); i++ {
		if time.Since(began) >= reviewTime {
			return i
		}
		list[i].by.regrant(list[i].peer, j.decide(list[i].by, list[i].peer, last))
	}
	return len(list)
}

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
