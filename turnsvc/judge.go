package turnsvc

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
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
			// Judged before the allocation's lock is taken: it asks the rooms.
			a.regrant(peer, j.grantFor(a, peer))
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
