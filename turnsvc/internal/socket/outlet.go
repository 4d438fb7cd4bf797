package socket

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/wire"
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
	full      atomic.Bool          // it was, since Neighbors last dealt with that
	own       atomic.Pointer[exit] // nil: none
	zones     sync.Map             // zone of a link-local address -> zone
	next      time.Time            // when it may be replaced; Neighbors' own
	closing   sync.Mutex           // for own to be replaced
	closed    bool                 // guarded by closing
	bare      bool                 // it had no socket, and that was logged; guarded by closing
}

// What is replaced goes on for up to three seconds in the kernel, with a full buffer. So an outlet
// is replaced replaceBurst times at once, then once in replaceInterval: 16 times in three seconds.
const (
	replaceBurst    = 4
	replaceInterval = 250 * time.Millisecond
)

// NewOutlet returns an outlet beside conn, which is bound to one address and stays its owner's.
func NewOutlet(conn *net.UDPConn, n *Neighbors) *Outlet {
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	o := &Outlet{at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), conn: newDirect(conn), neighbors: n}
	mayFragment(conn, o.at.Addr())
	o.replace()
	n.add(o)
	return o
}

// Send sends one datagram. The errors are ErrFull, ErrAbsent, and what the system says.
func (o *Outlet) Send(b []byte, to netip.AddrPort) error {
	var scope uint32
	if to.Addr().Zone() != "" {
		scope = o.scope(to.Addr().Zone())
	}
	if o.neighbors.absent(to.Addr(), scope) {
		return ErrAbsent
	}
	err := o.send(b, to, scope)
	if err != nil && err != ErrFull && scope != 0 {
		o.doubt(to.Addr().Zone())
	}
	o.heed(err)
	return err
}

// heed looks at why a datagram, or a run, was not sent.
func (o *Outlet) heed(err error) {
	if err == ErrFull {
		o.full.Store(true)
	}
	o.neighbors.heed(err)
}

// SendRun sends application data as ChannelData. limit is the destination's. It returns how much
// was sent, and why the rest was not, as Send does.
func (o *Outlet) SendRun(run wire.Run, number uint16, to netip.AddrPort, limit *RunLimit) (
	packets, bytes int, err error,
) {
	may := len(run) > 1 && to.Addr().Zone() == "" && !o.neighbors.doubts(to.Addr(), 0)
	return limit.send(run, run[0].N+wire.ChannelHeader, may,
		func() error {
			err := o.sendRun(run, number, to)
			if !isRefusal(err) {
				o.heed(err)
			}
			return err
		},
		func(p wire.Packet) error { return o.Send(wire.FrameChannelData(p, number, false), to) })
}

// enter returns the socket of its own, for use until leave; nil: there is none.
func (o *Outlet) enter() *exit {
	for e := o.own.Load(); e != nil; e = o.own.Load() {
		if e.enter() { // else it has just been replaced
			return e
		}
	}
	return nil
}

func (o *Outlet) send(b []byte, to netip.AddrPort, scope uint32) error {
	e := o.enter()
	if e == nil {
		return o.conn.send(b, to, scope)
	}
	err := sent(e.send(b, to, scope))
	e.leave()
	return err
}

func (o *Outlet) sendRun(run wire.Run, number uint16, to netip.AddrPort) error {
	e := o.enter()
	if e == nil {
		return o.conn.sendRun(run, number, to, 0)
	}
	err := sent(e.sendRun(run, number, to))
	e.leave()
	return err
}

// due reports whether the outlet may be replaced now, and counts that it is.
func (o *Outlet) due(now time.Time) bool {
	if o.next.After(now) {
		return false
	}
	if earliest := now.Add(-(replaceBurst - 1) * replaceInterval); o.next.Before(earliest) {
		o.next = earliest
	}
	o.next = o.next.Add(replaceInterval)
	return true
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
	if err != nil { // the old one, or conn, serves
		if !o.bare && !errors.Is(err, errors.ErrUnsupported) {
			o.neighbors.log.Warn("clients of this address are sent to through a socket that is shared, and may wait "+
				"for hosts that are gone: look for a limit of open files, or for a filter of system calls",
				"address", o.at, "err", err)
		}
		o.bare = true
		return
	}
	if o.bare {
		o.neighbors.log.Info("clients of this address are sent to through a socket of their own again", "address", o.at)
	}
	o.bare = false
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
