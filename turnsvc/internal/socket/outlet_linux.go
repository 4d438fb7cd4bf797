//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// exit is a socket for sending only, from an address that another socket is bound to and reads. It
// is bound to that one's port and to an address that nobody has (IP_FREEBIND): so it gets no
// datagram, and takes no part in how the kernel spreads those among sockets of one address. The
// source address is written on each datagram.
type exit struct {
	fd     int
	source *control
	users  atomic.Int64 // one is the outlet; without any it is closed
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
	family, level, freebind := unix.AF_INET, unix.IPPROTO_IP, unix.IP_FREEBIND
	if at.Addr().Is6() {
		family, level, freebind = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, level, freebind, 1); err != nil {
		unix.Close(fd)
		return nil, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer) // the kernel caps what it grants
	const tries = 8                                                         // for one that isn't taken
	for range tries {
		ip := nowhere(at.Addr())
		if ip.Is4() {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()})
		} else {
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16()})
		}
		if err == nil {
			e := &exit{fd: fd, source: sourceOf(at.Addr(), scope)}
			e.users.Store(1)
			return e, nil
		}
	}
	unix.Close(fd)
	return nil, err
}

// enter reports whether the socket may be used, until leave: not once it has been replaced.
func (e *exit) enter() bool {
	for {
		n := e.users.Load()
		if n == 0 {
			return false
		}
		if e.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (e *exit) leave() {
	if e.users.Add(-1) == 0 {
		unix.Close(e.fd)
	}
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
