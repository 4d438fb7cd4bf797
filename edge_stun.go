package signalbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// NAT behavior discovery (RFC 5780) takes four UDP sockets: the address and port that TURN clients
// use, and stun.alternate, crossed. Those that turn.listen does not open anyway serve STUN only.

// stunPrimary returns the first IPv4 entry of turn.listen as one address, with the port as it
// stands there.
func (c *Config) stunPrimary() (netip.AddrPort, error) {
	for _, s := range c.TURN.Listen {
		a, err := listenAddr(s)
		switch {
		case err != nil:
			return netip.AddrPort{}, fmt.Errorf("turn.listen: %w", err)
		case a.Addr().IsUnspecified():
			local, err := localAddrs()
			if err != nil {
				return netip.AddrPort{}, fmt.Errorf("read this machine's addresses: %w", err)
			}
			return netip.AddrPortFrom(localAddress(true, c, local, nil).ip, a.Port()), nil
		case a.Addr().Is4():
			return a, nil
		}
	}
	return netip.AddrPort{}, errors.New("stun.alternate: no entry of turn.listen is an IPv4 address, and discovery " +
		"needs two")
}

// alternate returns stun.alternate; ok is false if it is off.
func (c *Config) alternate() (at netip.AddrPort, ok bool, err error) {
	if c.STUN.Alternate == "" {
		return at, false, nil
	}
	at, err = netip.ParseAddrPort(c.STUN.Alternate)
	if err != nil || !at.Addr().Is4() || at.Addr().IsUnspecified() {
		return at, false, fmt.Errorf(`stun.alternate: %q is not a second IPv4 address of this machine with a second `+
			`port: write "203.0.113.11:3479"`, c.STUN.Alternate)
	}
	primary, err := c.stunPrimary()
	switch {
	case err != nil:
	case at.Addr() == primary.Addr():
		err = fmt.Errorf("stun.alternate: %s is the address that clients ask anyway: discovery needs a second one",
			at.Addr())
	case at.Port() == primary.Port() && at.Port() != 0:
		err = fmt.Errorf("stun.alternate: %d is the port of turn.listen: discovery needs a second one", at.Port())
	}
	return at, err == nil, err
}

// checkAlternate refuses discovery behind 1:1 NAT: the answers name this machine's addresses, and
// clients would ask those in vain.
func checkAlternate(c *Config, public netip.Addr) error {
	_, on, err := c.alternate()
	if err != nil || !on {
		return err
	}
	local, err := localAddrs()
	if err != nil {
		return fmt.Errorf("read this machine's addresses: %w", err)
	}
	if !slices.Contains(local, public) {
		return fmt.Errorf("stun.alternate: public_ip %s is no address of this machine, so there is a NAT in front "+
			"of it; discovery works without one only", public)
	}
	return nil
}

// bindAlternate opens what is missing of the four sockets.
func (e *edge) bindAlternate(c *Config) error {
	at, on, err := c.alternate()
	if err != nil || !on {
		return err
	}
	primary, err := c.stunPrimary()
	if err != nil {
		return err
	}
	first := e.udpAt(func(a netip.AddrPort) bool {
		return a.Addr() == primary.Addr() && (a.Port() == primary.Port() || primary.Port() == 0)
	})
	if first == nil {
		return fmt.Errorf("stun.alternate: nothing listens on %s", primary)
	}
	primary = udpAddr(first)
	second, err := e.bindSTUN(at)
	if err != nil {
		return err
	}
	at = udpAddr(second)
	corners := [2][2]*net.UDPConn{{first, nil}, {nil, second}}
	if corners[0][1], err = e.bindSTUN(netip.AddrPortFrom(primary.Addr(), at.Port())); err != nil {
		return err
	}
	if corners[1][0], err = e.bindSTUN(netip.AddrPortFrom(at.Addr(), primary.Port())); err != nil {
		return err
	}
	e.corners = &corners
	return nil
}

// bindSTUN returns the socket that is bound to addr, or binds one for STUN only.
func (e *edge) bindSTUN(addr netip.AddrPort) (*net.UDPConn, error) {
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
func (e *edge) udpAt(match func(netip.AddrPort) bool) *net.UDPConn {
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
