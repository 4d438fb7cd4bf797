package edge

import (
	"net"
	"net/netip"

	"signalbox/internal/fault"
)

// Discovery has the two addresses of NAT behavior discovery (RFC 5780). It takes four UDP sockets:
// the address and port that TURN clients use, the alternate ones, and both combinations. Sockets
// that TURN does not open anyway serve only STUN.
type Discovery struct {
	Primary   netip.AddrPort // IPv4; one that TURN listens on, whose port may be 0 as there
	Alternate netip.AddrPort // IPv4; another address and another port
}

// bindDiscovery opens what is missing of the four sockets.
func (e *Edge) bindDiscovery() error {
	d := e.o.Discovery
	if d == nil {
		return nil
	}
	first := e.udpAt(func(a netip.AddrPort) bool {
		return a.Addr() == d.Primary.Addr() && (a.Port() == d.Primary.Port() || d.Primary.Port() == 0)
	})
	if first == nil {
		return fault.New("stun.alternate", "nothing listens on %s", d.Primary)
	}
	primary := udpAddr(first)
	second, err := e.bindSTUN(d.Alternate)
	if err != nil {
		return err
	}
	alternate := udpAddr(second)
	corners := [2][2]*net.UDPConn{{first, nil}, {nil, second}}
	if corners[0][1], err = e.bindSTUN(netip.AddrPortFrom(primary.Addr(), alternate.Port())); err != nil {
		return err
	}
	if corners[1][0], err = e.bindSTUN(netip.AddrPortFrom(alternate.Addr(), primary.Port())); err != nil {
		return err
	}
	e.corners = &corners
	return nil
}

// bindSTUN returns the socket that is bound to addr, or binds one for STUN only.
func (e *Edge) bindSTUN(addr netip.AddrPort) (*net.UDPConn, error) {
	if conn := e.udpAt(func(a netip.AddrPort) bool { return a == addr }); conn != nil {
		return conn, nil
	}
	conns, err := e.listenUDP("stun.alternate", addr, 1)
	if err != nil {
		return nil, err
	}
	e.stun = append(e.stun, conns[0])
	return conns[0], nil
}

// udpAt returns the first TURN socket whose address matches, or nil.
func (e *Edge) udpAt(match func(netip.AddrPort) bool) *net.UDPConn {
	for _, conn := range e.udp {
		if match(udpAddr(conn)) {
			return conn
		}
	}
	return nil
}

func udpAddr(conn *net.UDPConn) netip.AddrPort {
	a := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
