package socket

import (
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Neighbors are the hosts of this host's own networks, as far as they are missing. A datagram for
// one that does not answer ARP or Neighbor Discovery stays in the kernel for three seconds, on the
// account of the socket that sent it. So a few hosts that are gone, or never were, fill a send
// buffer that many clients share. When one is full, Neighbors look who is missing, in the kernel's
// table, have the outlets that are full take fresh sockets, and keep datagrams for those who are
// missing from being sent, until the table says that they are back.
//
// The table has room for a thousand hosts or so. A network of IPv6 has more addresses than can be
// remembered as missing, and whoever names ever new ones pushes out those that are there. So where
// many are missing, only those who are in the table with an answer are sent to, and few others: see
// crowds.
type Neighbors struct {
	log     *slog.Logger
	missing atomic.Pointer[absentees] // nil: nobody is looked for
	spared  atomic.Uint64             // datagrams that were kept from being sent
	wake    chan struct{}

	// read returns who is in the kernel's table without an answer, and answered who was in it with
	// one then; routes tells of this host's routes, one after the other. Tests replace them.
	read     func() ([]unanswered, error)
	answered func() []host
	routes   func(func(route)) error
	table    *table
	blind    bool // it can't be read, and that was logged; Run's own
	lost     bool // the same, of routes

	mu      sync.Mutex
	outlets map[*Outlet]struct{}
}

// host is an address of this host's networks: with the index of its interface if it is a link-local
// one of IPv6, of which each interface has its own.
type host struct {
	ip   netip.Addr
	link uint32
}

// hostAt returns the host at ip, whose zone is the interface of that index.
func hostAt(ip netip.Addr, link uint32) host {
	if !ip.Is6() || !ip.IsLinkLocalUnicast() {
		link = 0
	}
	return host{ip.WithZone(""), link}
}

// missing is one who does not answer. Now and then a datagram is let through, for the kernel to ask
// again.
type missing struct{ next atomic.Int64 } // Unix nanoseconds

// pass reports whether one is let through now.
func (m *missing) pass(every time.Duration) bool {
	now := time.Now().UnixNano()
	next := m.next.Load()
	return now >= next && m.next.CompareAndSwap(next, now+int64(every))
}

// absentees are those who are missing, and the networks in which many are.
type absentees struct {
	hosts  map[host]*missing
	crowds *crowds // nil: none
}

const (
	lookPause    = 5 * time.Millisecond   // between two looks, at least
	lookRest     = 10                     // the same, in times of how long the last one took
	lookInterval = 200 * time.Millisecond // while somebody is missing
	lookTime     = 3 * time.Second        // for which nothing has to happen before that ends
	askInterval  = 500 * time.Millisecond // between datagrams that are let through
	// slowAnswer is how long a host may take to answer: Wi-Fi wakes a sleeping one every 100 ms.
	slowAnswer = 100 * time.Millisecond
)

// NewNeighbors returns neighbors of whom nobody is missing. Run is to be called.
func NewNeighbors(log *slog.Logger) *Neighbors {
	n := &Neighbors{log: log, wake: make(chan struct{}, 1), table: newTable(), outlets: map[*Outlet]struct{}{}}
	n.read, n.answered, n.routes = n.table.unresolved, n.table.resolved, n.table.routes
	return n
}

func (n *Neighbors) add(o *Outlet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outlets[o] = struct{}{}
}

func (n *Neighbors) remove(o *Outlet) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.outlets, o)
}

// alarm says that a send buffer is full. It waits for nothing.
func (n *Neighbors) alarm() {
	select {
	case n.wake <- struct{}{}:
	default: // it is known
	}
}

// absent reports whether a datagram for ip had better not be sent. link is the interface that its
// zone names, or 0. While nobody is missing it costs next to nothing.
func (n *Neighbors) absent(ip netip.Addr, link uint32) bool {
	all := n.missing.Load()
	if all == nil {
		return false
	}
	h := hostAt(ip, link)
	m, c := all.hosts[h], all.crowds.find(h)
	switch {
	case m != nil:
		every := askInterval
		if c != nil {
			every = time.Duration(c.interval.Load())
		}
		if m.pass(every) {
			return false
		}
	case c != nil:
		if _, is := all.crowds.answered[h]; is || c.unknown.pass(crowdInterval) {
			return false
		}
		n.alarm() // it may have come since
	default:
		return false
	}
	n.spared.Add(1)
	return true
}

// doubts reports whether absent may hold something for ip back, so that each datagram must be asked
// for.
func (n *Neighbors) doubts(ip netip.Addr, link uint32) bool {
	all := n.missing.Load()
	if all == nil {
		return false
	}
	h := hostAt(ip, link)
	return all.hosts[h] != nil || all.crowds.find(h) != nil
}

// heed looks at why a datagram was not sent: somebody who is missing may be the reason.
func (n *Neighbors) heed(err error) {
	// Linux has EINVAL where its table of IPv6 neighbors is full, and where the port is 0.
	if err == ErrFull || err == syscall.EINVAL {
		n.alarm()
	}
}

// Run looks after the neighbors until done is closed.
func (n *Neighbors) Run(done <-chan struct{}) {
	defer n.table.close()
	timer := time.NewTimer(lookInterval)
	defer timer.Stop()
	for quiet := lookTime; ; {
		spared := n.spared.Load()
		var again <-chan time.Time // nobody is missing: only an alarm wakes
		if n.missing.Load() != nil {
			timer.Reset(lookInterval)
			again = timer.C
		}
		select {
		case <-done:
			return
		case <-n.wake:
			quiet = 0
		case <-again:
			quiet += lookInterval
		}
		if n.spared.Load() != spared {
			quiet = 0
		}
		began := time.Now()
		n.look(quiet >= lookTime)
		timer.Reset(max(lookPause, lookRest*time.Since(began)))
		select {
		case <-done:
			return
		case <-timer.C:
		}
	}
}

// look reads the kernel's table. over: there has been no reason to for so long that it is
// forgotten.
func (n *Neighbors) look(over bool) {
	if over {
		n.missing.Store(nil)
		return
	}
	list, err := n.read()
	if err != nil {
		if !n.blind && !errors.Is(err, errors.ErrUnsupported) {
			n.log.Warn("the kernel's table of neighbors can't be read: hosts that are gone may delay what others are "+
				"sent; look for a limit of open files, or for a filter of system calls", "err", err)
		}
		n.blind = true
		return // what is known stays
	}
	n.blind = false
	before := n.missing.Load()
	if before == nil {
		before = new(absentees)
	}
	after := absentees{hosts: map[host]*missing{}, crowds: n.crowded(list, before.crowds)}
	var found []host
	waited := false // for some answer: the kernel keeps datagrams
	for _, u := range list {
		waited = waited || u.asking
		switch known := before.hosts[u.host]; {
		case known != nil:
			after.hosts[u.host] = known
		case !u.asking || u.since >= slowAnswer:
			after.hosts[u.host] = new(missing)
			found = append(found, u.host)
		}
	}
	after.crowds.spread(after.hosts, found)
	n.missing.Store(&after)
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for o := range n.outlets { // those that aren't full stay, whoever raised the alarm
		switch {
		case !waited:
			o.full.Store(false)
		case o.full.Load() && o.due(now): // else it is full still, and the next datagram says so
			o.full.Store(false)
			o.replace()
		}
	}
}

// unanswered is a host that the kernel has no hardware address for.
type unanswered struct {
	host
	asking bool          // still; else the kernel has given up
	since  time.Duration // ago
}
