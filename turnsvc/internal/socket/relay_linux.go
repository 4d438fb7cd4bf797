//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"net/netip"
	"os"
	"sync"
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
	// Owned by the watch: it is among those that may have got more; the last order that it was
	// looked at for.
	waits  bool
	judged *order
	paused atomic.Bool // after an error that may last

	mu     sync.Mutex
	watch  *watch // nil: nobody reads it
	place  uint32 // there
	closed bool
}

// open binds the address also while it is away for a moment, as when a lease is renewed: the socket
// serves as soon as it is back.
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
		err = bindAbsent(fd, at.Addr())
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
	s.mu.Lock()
	before := s.closed
	s.closed = true
	if s.watch != nil {
		s.watch.remove(s)
	}
	s.mu.Unlock()
	if !before {
		s.leave()
	}
}
