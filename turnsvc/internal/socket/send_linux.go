//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"
)

// call is one use of direct. The function that RawConn wants is made once, so that a datagram costs
// no heap allocation.
type call struct {
	b     []byte
	to    netip.AddrPort
	scope uint32
	errno syscall.Errno
	run   func(fd uintptr)
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.run = func(fd uintptr) { c.errno = send(fd, c.b, c.to, c.scope, nil) }
	return c
}}

// control is a control message that names the source of a datagram (ip(7), ipv6(7): IP_PKTINFO).
type control struct {
	buf  [5]uint64 // aligned as the kernel wants it
	size uint64
}

// sourceOf returns the control message for a source address, which is one of this host's.
func sourceOf(ip netip.Addr, scope uint32) *control {
	c := new(control)
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&c.buf))
	if ip.Is4() {
		h.Level, h.Type = syscall.IPPROTO_IP, syscall.IP_PKTINFO
		h.SetLen(syscall.CmsgLen(syscall.SizeofInet4Pktinfo))
		info := (*syscall.Inet4Pktinfo)(unsafe.Pointer(&c.buf[2]))
		info.Spec_dst = ip.As4()
		c.size = uint64(syscall.CmsgSpace(syscall.SizeofInet4Pktinfo))
		return c
	}
	h.Level, h.Type = syscall.IPPROTO_IPV6, syscall.IPV6_PKTINFO
	h.SetLen(syscall.CmsgLen(syscall.SizeofInet6Pktinfo))
	info := (*syscall.Inet6Pktinfo)(unsafe.Pointer(&c.buf[2]))
	info.Addr, info.Ifindex = ip.As16(), scope
	c.size = uint64(syscall.CmsgSpace(syscall.SizeofInet6Pktinfo))
	return c
}

// send sends one datagram without waiting, from the address in source, or from the socket's own if
// that is nil. The socket is of the destination's family.
func send(fd uintptr, b []byte, to netip.AddrPort, scope uint32, source *control) syscall.Errno {
	name := syscall.RawSockaddrInet6{}
	size := address(&name, to, scope)
	for {
		var errno syscall.Errno
		if source == nil {
			_, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))),
				uintptr(len(b)), syscall.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), uintptr(size))
		} else {
			part := syscall.Iovec{Base: unsafe.SliceData(b), Len: uint64(len(b))}
			m := syscall.Msghdr{
				Name: (*byte)(unsafe.Pointer(&name)), Namelen: size, Iov: &part, Iovlen: 1,
				Control: (*byte)(unsafe.Pointer(&source.buf)), Controllen: source.size,
			}
			_, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&m)), syscall.MSG_DONTWAIT)
		}
		if errno != syscall.EINTR {
			return errno
		}
	}
}

// address writes a destination as the kernel wants it, and returns the size of that.
func address(name *syscall.RawSockaddrInet6, to netip.AddrPort, scope uint32) (size uint32) {
	size = syscall.SizeofSockaddrInet6
	if ip := to.Addr(); ip.Is4() {
		size = syscall.SizeofSockaddrInet4
		// A syscall.RawSockaddrInet4 fits into the larger one.
		*(*syscall.RawSockaddrInet4)(unsafe.Pointer(name)) = syscall.RawSockaddrInet4{
			Family: syscall.AF_INET, Addr: ip.As4(),
		}
	} else {
		*name = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Addr: ip.As16(), Scope_id: scope}
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	return size
}
