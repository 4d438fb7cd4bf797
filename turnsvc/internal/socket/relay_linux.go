//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// relaySocket is a socket that package net does not know: net has the runtime wait for each socket
// in both directions, and so look at each one that has sent something. Net would also let it send
// to broadcast addresses.
type relaySocket struct {
	descriptor
	receiver
	handle func([]wire.Datagram)
	watch  *watch      // nil: nobody reads it
	place  uint32      // there
	paused atomic.Bool // after an error that may last
	closed atomic.Bool
}

func (s *relaySocket) open(at netip.AddrPort) error {
	fd, err := openUDP(at.Addr())
	if err != nil {
		return err
	}
	s.own(fd)
	if at.Addr().Is6() {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1))
	}
	if err == nil {
		err = bind(fd, at)
	}
	if err != nil {
		s.Close()
	}
	return err
}

func (s *relaySocket) sender() direct { return direct{&s.descriptor} }

// Close ends the reading, too.
func (s *relaySocket) Close() {
	if s.closed.Swap(true) {
		return
	}
	if s.watch != nil {
		s.watch.remove(s)
	}
	s.leave()
}
