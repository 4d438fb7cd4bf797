package turnsvc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// NAT behavior discovery (RFC 5780): a client asks to be answered from another address or port of
// the server than the one that it asked, and learns from what arrives how its NAT maps and filters.
// It takes four sockets: two addresses with the same two ports.

// corner is one of the four.
type corner struct {
	conn *net.UDPConn
	at   netip.AddrPort
	all  *[2][2]corner // by address, then by port
	i, j int           // where it stands in all
}

func (c *corner) addr() netip.AddrPort { return c.at }

// other is the corner that differs in both address and port.
func (c *corner) other() *corner { return &c.all[1-c.i][1-c.j] }

// EnableDiscovery has the server answer RFC 5780 requests that come in on four sockets, given by
// address and then by port: two IPv4 addresses, each with the same two ports. It is called before
// ServePacket and ServeSTUN, which read those sockets; of several that share an address, any one
// will do. The addresses are told to clients as they are.
func (s *Server) EnableDiscovery(conns [2][2]*net.UDPConn) error {
	all := new([2][2]corner)
	for i := range conns {
		for j, conn := range conns[i] {
			all[i][j] = corner{conn: conn, at: wire.AddrPort(conn.LocalAddr()), all: all, i: i, j: j}
		}
	}
	at := func(i, j int) netip.AddrPort { return all[i][j].at }
	switch {
	case !at(0, 0).Addr().Is4() || !at(1, 0).Addr().Is4():
		return errors.New("NAT behavior discovery: want IPv4 addresses")
	case at(0, 0).Addr() != at(0, 1).Addr(), at(1, 0).Addr() != at(1, 1).Addr(), at(0, 0).Addr() == at(1, 0).Addr(),
		at(0, 0).Port() != at(1, 0).Port(), at(0, 1).Port() != at(1, 1).Port(), at(0, 0).Port() == at(0, 1).Port():
		return fmt.Errorf("NAT behavior discovery on %v, %v, %v and %v: want two addresses with the same two ports",
			at(0, 0), at(0, 1), at(1, 0), at(1, 1))
	}
	s.corners = all
	return nil
}

// corner returns the one with that address, or nil.
func (s *Server) corner(at netip.AddrPort) *corner {
	if s.corners == nil {
		return nil
	}
	for i := range s.corners {
		for j := range s.corners[i] {
			if c := &s.corners[i][j]; c.at == at {
				return c
			}
		}
	}
	return nil
}

// Flags of CHANGE-REQUEST (RFC 5780 §7.2; RFC 3489 §11.2.4 has the same).
const (
	changeIP   = 0x04
	changePort = 0x02
)

// route reads from where and to where the client that asked c wants its answer (RFC 5780 §6.1). A
// nil corner answers as it was asked. ok is false if an attribute has a wrong size.
func (c *corner) route(m *wire.Message, src netip.AddrPort) (from *corner, to netip.AddrPort, ok bool) {
	if c == nil {
		return nil, src, true
	}
	from, to = c, src
	if v, has := m.Get(wire.AttrChangeRequest); has {
		if len(v) != 4 {
			return nil, src, false
		}
		from = c.change(v[3])
	}
	if v, has := m.Get(wire.AttrResponsePort); has {
		// Two bytes of port; many clients count the padding in.
		if len(v) != 2 && len(v) != 4 {
			return nil, src, false
		}
		to = netip.AddrPortFrom(src.Addr(), binary.BigEndian.Uint16(v))
	}
	return from, to, true
}

// change returns the corner that the flags of a CHANGE-REQUEST lead to.
func (c *corner) change(flags byte) *corner {
	i, j := c.i, c.j
	if flags&changeIP != 0 {
		i = 1 - i
	}
	if flags&changePort != 0 {
		j = 1 - j
	}
	return &c.all[i][j]
}

// send sends an answer from another corner, or through the link that the request came in on.
func (c *corner) send(l link, answer []byte, from *corner, to netip.AddrPort) {
	if from == c {
		l.send(answer, to)
		return
	}
	// What the kernel refuses to send is lost, as it may be on the way; the client asks again.
	_, _ = from.conn.WriteToUDPAddrPort(answer, to)
}

// ServeSTUN serves STUN only on a UDP socket until that is closed: on the ports that exist for NAT
// behavior discovery no TURN client needs to be served. The caller owns conn.
func (s *Server) ServeSTUN(conn *net.UDPConn) error { return s.servePacket(conn, true) }
