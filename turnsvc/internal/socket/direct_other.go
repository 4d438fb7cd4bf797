//go:build !unix

package socket

import (
	"net"
	"net/netip"
)

// direct sends through a socket that package net owns. It waits while the system has no room: where
// there are no non-blocking sockets, that is all there is.
type direct struct{ conn *net.UDPConn }

func newDirect(conn *net.UDPConn) direct { return direct{conn} }

func (d direct) send(b []byte, to netip.AddrPort, _ uint32) error {
	_, err := d.conn.WriteToUDPAddrPort(b, to)
	return err
}
