//go:build unix

package socket

import (
	"net"
	"net/netip"
)

// direct sends through a socket that somebody reads.
type direct struct{ socket controller } // nil: there is no socket

func newDirect(conn *net.UDPConn) direct {
	raw, err := conn.SyscallConn()
	if err != nil {
		return direct{}
	}
	return direct{raw}
}

// send sends one datagram without waiting. scope is the interface of a link-local destination, or
// 0.
func (d direct) send(b []byte, to netip.AddrPort, scope uint32) error {
	if d.socket == nil {
		return net.ErrClosed
	}
	c := calls.Get().(*call)
	c.b, c.to, c.scope = b, to, scope
	err := d.socket.Control(c.run) // not Write, which lets in one sender at a time
	if err == nil {
		err = sent(c.errno)
	}
	c.b = nil
	calls.Put(c)
	return err
}
