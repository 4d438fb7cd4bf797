//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"net"
	"net/netip"
	"syscall"
)

// relaySocket is a socket of package net.
type relaySocket struct {
	receiver
	conn *net.UDPConn
	raw  syscall.RawConn // of the same
	gone func()          // told when it is closed; nil: nobody is
}

func (s *relaySocket) open(at netip.AddrPort) (err error) {
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	if s.conn, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(at)); err != nil {
		return err
	}
	_ = s.conn.SetWriteBuffer(sendBuffer) // the system caps what it grants
	if s.raw, err = s.conn.SyscallConn(); err == nil {
		err = noBroadcast(s.conn)
	}
	if err != nil {
		s.conn.Close()
	}
	return err
}

func (s *relaySocket) sender() direct { return newDirect(s.conn) }

// Control implements controller.
func (s *relaySocket) Control(f func(fd uintptr)) error { return s.raw.Control(f) }

// Close ends the reading, too. Package net closes a socket only when nobody uses it any more, and
// waits for that.
func (s *relaySocket) Close() {
	if s.conn.Close() == nil && s.gone != nil {
		s.gone()
	}
}
