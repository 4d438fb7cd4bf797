package socket

import (
	"errors"
	"log/slog"
	"net"
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
// many are missing, only those who are in the table with an answer are sent to, and few others.
type Neighbors struct {
	log     *slog.Logger
	missing atomic.Pointer[absentees] // nil: nobody is looked for
	spared  atomic.Uint64             // datagrams that were kept from being sent
	wake    chan struct{}

	// read returns who is in the kernel's table without an answer, and answered who was in it with
	// one then; networks returns this host's. Tests replace them.
	read     func() ([]unanswered, error)
	answered func() []host
	networks func() ([]netip.Prefix, error)
	table    *table
	blind    bool // it can't be read, and that was logged; Run's own

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
	crowds []*crowd
}

// crowd is a network of this host's in which many are missing: as one, all who have not answered.
type crowd struct {
	*missing
	network  netip.Prefix
	answered map[netip.Addr]struct{}
}

const (
	lookPause    = 5 * time.Millisecond   // between two looks, at least
	lookRest     = 10                     // the same, in times of how long the last one took
	lookInterval = 200 * time.Millisecond // while somebody is missing
	lookTime     = 3 * time.Second        // for which nothing has to happen before that ends
	askInterval  = 500 * time.Millisecond // between datagrams that are let through
	// slowAnswer is how long a host may take to answer: Wi-Fi wakes a sleeping one every 100 ms.
	slowAnswer = 100 * time.Millisecond
	// crowdSize is how many are missing in a network before it counts as one in which many are, and
	// crowdInterval is for datagrams to all of these. The kernel forgets those who do not answer
	// every 15 seconds, and forgets who is there when it remembers 512.
	crowdSize     = 192
	crowdInterval = 100 * time.Millisecond
)

// NewNeighbors returns neighbors of whom nobody is missing. Run is to be called.
func NewNeighbors(log *slog.Logger) *Neighbors {
	n := &Neighbors{log: log, wake: make(chan struct{}, 1), table: newTable(), outlets: map[*Outlet]struct{}{}}
	n.read, n.answered, n.networks = n.table.unresolved, n.table.resolved, ownNetworks
	return n
}

// ownNetworks lists those that this host has addresses in.
func ownNetworks() (list []netip.Prefix, err error) {
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if own, is := a.(*net.IPNet); is {
			ip, _ := netip.AddrFromSlice(own.IP) // of an address's length
			bits, _ := own.Mask.Size()
			list = append(list, netip.PrefixFrom(ip.Unmap(), bits).Masked())
		}
	}
	return list, err
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
	if c := all.crowd(ip); c != nil {
		if _, is := c.answered[ip.WithZone("")]; is || c.pass(crowdInterval) {
			return false
		}
		n.spared.Add(1)
		n.alarm() // it may have come since
		return true
	}
	m := all.hosts[hostAt(ip, link)]
	if m == nil || m.pass(askInterval) {
		return false
	}
	n.spared.Add(1)
	return true
}

// crowd returns the one that ip belongs to, or nil.
func (a *absentees) crowd(ip netip.Addr) *crowd {
	for _, c := range a.crowds {
		if c.network.Contains(ip.WithZone("")) {
			return c
		}
	}
	return nil
}

// crowded returns the networks in which many of those who have not answered are, and those that
// were it before: it is over when nobody names such addresses any more.
func (n *Neighbors) crowded(list []unanswered, before *absentees) (crowds []*crowd) {
	networks := map[netip.Prefix]*missing{}
	if before != nil {
		for _, c := range before.crowds {
			networks[c.network] = c.missing
		}
	}
	if len(list) >= crowdSize {
		all, err := n.networks()
		if err != nil {
			n.log.Warn("read this host's networks", "err", err)
		}
		for _, network := range all {
			in := 0
			for _, u := range list {
				if network.Contains(u.ip) {
					in++
				}
			}
			if in >= crowdSize && networks[network] == nil {
				networks[network] = new(missing)
				n.log.Info("many hosts of this network are missing: those that are not known are sent little",
					"network", network)
			}
		}
	}
	if len(networks) == 0 {
		return nil
	}
	answered := map[netip.Addr]struct{}{}
	for _, h := range n.answered() {
		answered[h.ip] = struct{}{}
	}
	for network, m := range networks {
		crowds = append(crowds, &crowd{m, network, answered})
	}
	return crowds
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
	after := absentees{hosts: map[host]*missing{}, crowds: n.crowded(list, before)}
	waited := false // for some answer: the kernel keeps datagrams
	for _, u := range list {
		waited = waited || u.asking
		var known *missing
		if before != nil {
			known = before.hosts[u.host]
		}
		switch {
		case known != nil:
			after.hosts[u.host] = known
		case !u.asking || u.since >= slowAnswer:
			after.hosts[u.host] = new(missing)
		}
	}
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
