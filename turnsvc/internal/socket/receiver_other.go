//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"net"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// receiver reads a UDP socket. Where package net has no non-blocking read, each socket holds a
// buffer.
type receiver struct{}

func (*receiver) init(*net.UDPConn) error { return nil }

func (*receiver) receive(conn *net.UDPConn, faults *Faults, handle func(wire.Packet, netip.AddrPort)) {
	Read(conn, faults, handle)
}
