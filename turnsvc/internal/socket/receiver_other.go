//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"errors"
	"net"

	"signalbox/turnsvc/internal/wire"
)

// receiver reads a UDP socket, a datagram at a time. Where package net has no non-blocking read,
// each socket holds a buffer.
type receiver struct {
	trouble trouble
	zoned   bool // sources have zones, as package net has it
}

func (r *receiver) receive(conn *net.UDPConn, handle func([]wire.Datagram)) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return // there is no socket
	}
	b := new(wire.Buffer)
	list := make([]wire.Datagram, 1)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b.Room())
		switch {
		case err == nil:
			r.trouble.over()
			list[0] = wire.Datagram{Packet: b.Packet(n), From: wire.Unmap(from)}
			handle(list)
		case errors.Is(err, net.ErrClosed):
			return
		case !r.trouble.with(err, raw):
			return
		}
	}
}
