package socket

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// sendBuffer is what the kernel may hold of one socket's datagrams, as it is asked for: Linux takes
// twice as much for its own bookkeeping, and at most net.core.wmem_max, usually 208 KiB. A neighbor
// that does not answer keeps 208 KiB of it, so it takes two to fill one.
const sendBuffer = 256 << 10

// Outlet sends datagrams to the clients of one UDP socket, from its address, and never waits. On
// Linux it has a socket of its own for that, with a send buffer of its own, which Neighbors
// replaces when it is full of datagrams for hosts that are gone. Elsewhere, and where there can't
// be one, it sends through the socket that it is made for.
type Outlet struct {
	at        netip.AddrPort
	conn      direct
	neighbors *Neighbors
	full      atomic.Bool          // since Neighbors has looked last
	own       atomic.Pointer[exit] // nil: none
	zones     sync.Map             // zone of a link-local address -> uint32, the index of its interface
	closing   sync.Mutex           // for own to be replaced
	closed    bool                 // guarded by closing
}

// NewOutlet returns an outlet beside conn, which is bound to one address and stays its owner's.
func NewOutlet(conn *net.UDPConn, n *Neighbors) *Outlet {
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	o := &Outlet{at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), conn: newDirect(conn), neighbors: n}
	o.replace()
	n.add(o)
	return o
}

// Send sends one datagram. The errors are ErrFull, ErrAbsent, and what the system says.
func (o *Outlet) Send(b []byte, to netip.AddrPort) error {
	if o.neighbors.absent(to.Addr()) {
		return ErrAbsent
	}
	var scope uint32
	if to.Addr().Zone() != "" {
		scope = o.scope(to.Addr().Zone())
	}
	err := o.send(b, to, scope)
	if err == ErrFull {
		o.full.Store(true)
		o.neighbors.alarm()
	}
	return err
}

func (o *Outlet) send(b []byte, to netip.AddrPort, scope uint32) error {
	for e := o.own.Load(); e != nil; e = o.own.Load() {
		if e.enter() { // else it has just been replaced
			err := sent(e.send(b, to, scope))
			e.leave()
			return err
		}
	}
	return o.conn.send(b, to, scope)
}

// scope is the index of the interface that a zone names.
func (o *Outlet) scope(zone string) uint32 {
	if index, ok := o.zones.Load(zone); ok {
		return index.(uint32)
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0 // the system refuses the datagram
	}
	o.zones.Store(zone, uint32(i.Index))
	return uint32(i.Index)
}

// replace takes a fresh socket in the place of the own one, if one can be had. What the old one has
// in the kernel goes its way.
func (o *Outlet) replace() {
	o.closing.Lock()
	defer o.closing.Unlock()
	if o.closed {
		return
	}
	e, err := openExit(o.at, o.scope(o.at.Addr().Zone()))
	if err != nil {
		return // the old one, or conn, serves
	}
	if old := o.own.Swap(e); old != nil {
		old.leave()
	}
}

// Close gives back the socket of its own.
func (o *Outlet) Close() {
	o.neighbors.remove(o)
	o.closing.Lock()
	defer o.closing.Unlock()
	o.closed = true
	if old := o.own.Swap(nil); old != nil {
		old.leave()
	}
}

// Neighbors are the hosts of this host's own networks, as far as they are missing. A datagram for
// one that does not answer ARP or Neighbor Discovery stays in the kernel for three seconds, on the
// account of the socket that sent it. So a few hosts that are gone, or never were, fill a send
// buffer that many clients share. When one is full, Neighbors look who is missing, in the kernel's
// table, have the outlets that are full take fresh sockets, and keep datagrams for those who are
// missing from being sent, until the table says that they are back.
type Neighbors struct {
	missing atomic.Pointer[map[netip.Addr]*missing] // nil: nobody is looked for
	spared  atomic.Uint64                           // datagrams that were kept from being sent
	wake    chan struct{}

	mu      sync.Mutex
	outlets map[*Outlet]struct{}
}

// missing is one who does not answer. now and then a datagram is let through, for the kernel to ask
// again.
type missing struct{ next atomic.Int64 } // Unix nanoseconds

const (
	lookPause    = 5 * time.Millisecond   // between two looks, at least
	lookInterval = 200 * time.Millisecond // while somebody is missing
	lookTime     = 3 * time.Second        // for which nothing has to happen before that ends
	askInterval  = 500 * time.Millisecond // between datagrams that are let through
	// slowAnswer is how long a host may take to answer: Wi-Fi wakes a sleeping one every 100 ms.
	slowAnswer = 100 * time.Millisecond
)

// NewNeighbors returns neighbors of whom nobody is missing. Run is to be called.
func NewNeighbors() *Neighbors {
	return &Neighbors{wake: make(chan struct{}, 1), outlets: map[*Outlet]struct{}{}}
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

// absent reports whether a datagram for ip had better not be sent. While nobody is missing it costs
// next to nothing.
func (n *Neighbors) absent(ip netip.Addr) bool {
	all := n.missing.Load()
	if all == nil {
		return false
	}
	m := (*all)[ip.WithZone("")]
	if m == nil {
		return false
	}
	now := time.Now().UnixNano()
	if next := m.next.Load(); now >= next && m.next.CompareAndSwap(next, now+int64(askInterval)) {
		return false
	}
	n.spared.Add(1)
	return true
}

// Run looks after the neighbors until done is closed.
func (n *Neighbors) Run(done <-chan struct{}) {
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
		n.look(quiet >= lookTime)
		timer.Reset(lookPause)
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
	before := n.missing.Load()
	after := map[netip.Addr]*missing{}
	waited := false // for some answer: the kernel keeps datagrams
	for _, u := range unresolved() {
		waited = waited || u.asking
		var known *missing
		if before != nil {
			known = (*before)[u.ip]
		}
		switch {
		case known != nil:
			after[u.ip] = known
		case !u.asking || u.since >= slowAnswer:
			after[u.ip] = new(missing)
		}
	}
	n.missing.Store(&after)
	n.mu.Lock()
	defer n.mu.Unlock()
	for o := range n.outlets {
		if o.full.Swap(false) && waited {
			o.replace()
		}
	}
}

// unanswered is an address of this host's networks that the kernel has no hardware address for.
type unanswered struct {
	ip     netip.Addr
	asking bool          // still; else the kernel has given up
	since  time.Duration // ago
}
