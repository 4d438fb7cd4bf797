//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package turnsvc

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// receiver reads a UDP socket. Where there is no non-blocking read to be had from net, each socket
// holds a buffer.
type receiver struct{}

func (*receiver) init(*net.UDPConn) error { return nil }

func (*receiver) receive(conn *net.UDPConn, handle func(packet, netip.AddrPort)) {
	b := new(buffer)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b[headroom : headroom+maxDatagram])
		switch {
		case err == nil:
			handle(packet{b[:], headroom, n}, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(time.Millisecond) // an ICMP error of an earlier packet; not a reason to spin
		}
	}
}
