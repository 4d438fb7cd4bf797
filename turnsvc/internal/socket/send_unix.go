//go:build unix && !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"errors"
	"net/netip"
	"sync"
	"syscall"
)

// call is one use of direct. The function that RawConn wants is made once.
type call struct {
	b     []byte
	to    netip.AddrPort
	scope uint32
	errno syscall.Errno
	run   func(fd uintptr)
	four  syscall.SockaddrInet4
	six   syscall.SockaddrInet6
}

var calls = sync.Pool{New: func() any {
	c := new(call)
	c.run = func(fd uintptr) { c.errno = c.send(int(fd)) }
	return c
}}

// send sends one datagram. Package net has made the socket one that doesn't block.
func (c *call) send(fd int) (errno syscall.Errno) {
	var to syscall.Sockaddr
	if ip := c.to.Addr(); ip.Is4() {
		c.four = syscall.SockaddrInet4{Port: int(c.to.Port()), Addr: ip.As4()}
		to = &c.four
	} else {
		c.six = syscall.SockaddrInet6{Port: int(c.to.Port()), Addr: ip.As16(), ZoneId: c.scope}
		to = &c.six
	}
	for {
		err := syscall.Sendto(fd, c.b, 0, to)
		if err == nil {
			return 0
		}
		if !errors.As(err, &errno) || errno != syscall.EINTR {
			return errno
		}
	}
}
