//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// descriptor is that of a socket which package net does not know. It is not closed while it is in
// use: its number could be another socket's by then.
type descriptor struct {
	fd    int
	users atomic.Int64 // one is the owner; without any it is closed
	gone  func()       // told of that, in whatever goroutine; nil: nobody is
}

// openUDP opens a socket of that address's family, with the send buffer that each has for itself.
func openUDP(ip netip.Addr) (fd int, err error) {
	family := unix.AF_INET
	if ip.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	// The kernel caps what it grants.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	return fd, nil
}

// bindAbsent lets a socket be bound to an address of ip's family that this machine does not have.
func bindAbsent(fd int, ip netip.Addr) error {
	level, option := unix.IPPROTO_IP, unix.IP_FREEBIND
	if ip.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, 1))
}

func bind(fd int, at netip.AddrPort) error {
	return os.NewSyscallError("bind", unix.Bind(fd, sockaddr(at)))
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		sa.ZoneId = interfaceIndex(zone)
	}
	return sa
}

func (d *descriptor) own(fd int) {
	d.fd = fd
	d.users.Store(1)
}

// enter reports whether the socket may be used, until leave: not once its owner has left it.
func (d *descriptor) enter() bool {
	for {
		n := d.users.Load()
		if n == 0 {
			return false
		}
		if d.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (d *descriptor) leave() {
	if d.users.Add(-1) > 0 {
		return
	}
	unix.Close(d.fd)
	if d.gone != nil {
		d.gone()
	}
}

// Control implements controller.
func (d *descriptor) Control(f func(fd uintptr)) error {
	if !d.enter() {
		return net.ErrClosed
	}
	f(uintptr(d.fd))
	d.leave()
	return nil
}
