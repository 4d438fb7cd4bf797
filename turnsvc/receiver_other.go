//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package turnsvc

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// receiver reads a UDP socket. Where there is no non-blocking read to be had from net, each socket
// holds a buffer.
type receiver struct{}

func (*receiver) init(*net.UDPConn) error { return nil }

func (*receiver) receive(conn *net.UDPConn, handle func(wire.Packet, netip.AddrPort)) {
	b := new(wire.Buffer)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b[wire.Headroom : wire.Headroom+wire.MaxDatagram])
		switch {
		case err == nil:
			handle(b.Packet(n), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		case errors.Is(err, net.ErrClosed):
			return
		default:
			time.Sleep(time.Millisecond) // an ICMP error of an earlier packet; not a reason to spin
		}
	}
}
