package turnsvc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// NAT behavior discovery (RFC 5780): a client asks for an answer from another address or port of
// the server than the one that it asked. What arrives tells it how its NAT maps and filters. That
// takes four sockets: two addresses with the same two ports.

// corners are the four sockets, by address and then by port. nil: NAT behavior discovery is off.
type corners [2][2]corner

type corner struct {
	conn *net.UDPConn
	link *udpLink // to conn
	at   netip.AddrPort
	all  *corners
	i, j int // where it stands in all
}

func newCorners(of *core, conns [2][2]*net.UDPConn) (*corners, error) {
	all := new(corners)
	for i := range conns {
		for j, conn := range conns[i] {
			all[i][j] = corner{conn: conn, at: wire.AddrPort(conn.LocalAddr()), all: all, i: i, j: j}
		}
	}
	at := func(i, j int) netip.AddrPort { return all[i][j].at }
	switch {
	case !at(0, 0).Addr().Is4() || !at(1, 0).Addr().Is4():
		return nil, errors.New("NAT behavior discovery: want IPv4 addresses")
	case at(0, 0).Addr() != at(0, 1).Addr(), at(1, 0).Addr() != at(1, 1).Addr(), at(0, 0).Addr() == at(1, 0).Addr(),
		at(0, 0).Port() != at(1, 0).Port(), at(0, 1).Port() != at(1, 1).Port(), at(0, 0).Port() == at(0, 1).Port():
		return nil, fmt.Errorf("NAT behavior discovery on %v, %v, %v and %v: "+
			"want two addresses with the same two ports", at(0, 0), at(0, 1), at(1, 0), at(1, 1))
	}
	for i := range all {
		for j := range all[i] {
			all[i][j].link = newUDPLink(of, conns[i][j])
		}
	}
	return all, nil
}

// find returns the corner with that address, or nil.
func (c *corners) find(at netip.AddrPort) *corner {
	if c == nil {
		return nil
	}
	for i := range c {
		for j := range c[i] {
			if c[i][j].at == at {
				return &c[i][j]
			}
		}
	}
	return nil
}

// other is the corner that differs in both address and port.
func (c *corner) other() *corner { return &c.all[1-c.i][1-c.j] }

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
	if v, has := m.Get(wire.AttrResponsePort); has && !samePort(v) {
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
		l.answer(answer, to)
	} else {
		from.link.answer(answer, to)
	}
}
