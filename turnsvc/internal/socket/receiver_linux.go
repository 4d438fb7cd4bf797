//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"signalbox/turnsvc/internal/wire"
)

// buffers are lent to a relay socket only while it has something to read: an idle allocation holds
// none.
var buffers = sync.Pool{New: func() any { return new(wire.Buffer) }}

// receiver reads a UDP socket with a buffer that is borrowed only once the socket is known to be
// readable. net's own ReadFrom would hold 64 KiB a socket while it waits.
type receiver struct {
	raw  syscall.RawConn
	from syscall.RawSockaddrAny // here, not on the stack, so that the system call makes nothing escape
	size uint32
}

func (r *receiver) init(conn *net.UDPConn) (err error) {
	r.raw, err = conn.SyscallConn()
	return err
}

func (r *receiver) receive(_ *net.UDPConn, faults *Faults, handle func(wire.Packet, netip.AddrPort)) {
	trouble := trouble{faults: faults, raw: r.raw}
	var failed syscall.Errno
	ready := func(fd uintptr) (done bool) {
		b := buffers.Get().(*wire.Buffer)
		defer buffers.Put(b)
		for {
			n, errno := r.recvfrom(fd, b.Room())
			switch errno {
			case 0:
				trouble.over()
				handle(b.Packet(n), r.source())
			case syscall.EAGAIN:
				return false
			case syscall.EINTR:
			default:
				failed = errno
				return true
			}
		}
	}
	for r.raw.Read(ready) == nil && trouble.with(failed) {
	}
}

func (r *receiver) recvfrom(fd uintptr, b []byte) (int, syscall.Errno) {
	r.size = syscall.SizeofSockaddrAny
	n, _, errno := syscall.Syscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT, uintptr(unsafe.Pointer(&r.from)), uintptr(unsafe.Pointer(&r.size)))
	return int(n), errno
}

func (r *receiver) source() netip.AddrPort {
	switch r.from.Addr.Family {
	case syscall.AF_INET:
		sa := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&r.from))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), networkPort(&sa.Port))
	case syscall.AF_INET6:
		sa := (*syscall.RawSockaddrInet6)(unsafe.Pointer(&r.from))
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), networkPort(&sa.Port))
	}
	return netip.AddrPort{}
}

func networkPort(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}
