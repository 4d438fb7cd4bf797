//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"errors"
	"net"
	"syscall"

	"signalbox/turnsvc/internal/wire"
)

// receiver reads a UDP socket, a datagram at a time. Where package net has no non-blocking read,
// each socket holds a buffer.
type receiver struct {
	raw   syscall.RawConn
	zoned bool // sources have zones, as package net has it
}

func (r *receiver) init(conn *net.UDPConn) (err error) {
	r.raw, err = conn.SyscallConn()
	return err
}

func (r *receiver) receive(conn *net.UDPConn, faults *Faults, handle func([]wire.Datagram)) {
	trouble := trouble{faults: faults, raw: r.raw}
	b := new(wire.Buffer)
	list := make([]wire.Datagram, 1)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b.Room())
		switch {
		case err == nil:
			trouble.over()
			list[0] = wire.Datagram{Packet: b.Packet(n), From: wire.Unmap(from)}
			handle(list)
		case errors.Is(err, net.ErrClosed):
			return
		case !trouble.with(err):
			return
		}
	}
}
