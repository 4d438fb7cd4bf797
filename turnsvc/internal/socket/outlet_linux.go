//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"syscall"

	"signalbox/turnsvc/internal/wire"
)

// exit is a socket for sending only, from an address that another socket is bound to and reads. It
// is bound to that one's port and to an address that nobody has (IP_FREEBIND): so it gets no
// datagram, and takes no part in how the kernel spreads those among sockets of one address. The
// source address is written on each datagram.
type exit struct {
	descriptor
	source *control
}

// nowhere returns a random address of a block that is never in use: 240.0.0.0/4, reserved, or
// 100::/64, for packets to be discarded (RFC 6666).
func nowhere(like netip.Addr) netip.Addr {
	if like.Is4() {
		ip := [4]byte{}
		binary.BigEndian.PutUint32(ip[:], rand.Uint32N(1<<27)|240<<24) // to 247.255.255.255
		return netip.AddrFrom4(ip)
	}
	ip := [16]byte{1}
	binary.BigEndian.PutUint64(ip[8:], rand.Uint64())
	return netip.AddrFrom16(ip)
}

func openExit(at netip.AddrPort, scope uint32) (*exit, error) {
	fd, err := openUDP(at.Addr())
	if err != nil {
		return nil, err
	}
	e := &exit{source: sourceOf(at.Addr(), scope)}
	e.own(fd)
	if err = bindAbsent(fd, at.Addr()); err == nil {
		err = keepWhole(e, at.Addr(), false)
	}
	if err != nil {
		e.leave()
		return nil, err
	}
	const tries = 8 // for an address that isn't taken
	for range tries {
		err = bind(fd, netip.AddrPortFrom(nowhere(at.Addr()), at.Port()))
		if err == nil {
			return e, nil
		}
	}
	e.leave()
	return nil, err
}

func (e *exit) send(b []byte, to netip.AddrPort, scope uint32) syscall.Errno {
	return send(uintptr(e.fd), b, to, scope, e.source)
}

func (e *exit) sendRun(run wire.Run, number uint16, to netip.AddrPort) syscall.Errno {
	x := runCalls.Get().(*runCall)
	x.fill(run, number, to, 0, e.source)
	errno := x.send(uintptr(e.fd))
	x.done()
	return errno
}
