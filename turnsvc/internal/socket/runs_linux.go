//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// runCall is one sending of a run: a sendmsg whose parts are the data, each with a channel's header
// before it if there is a channel, and which the kernel cuts into datagrams (udp(7), UDP_SEGMENT).
// Nothing is copied.
type runCall struct {
	head    syscall.Msghdr
	headers [2][wire.ChannelHeader]byte // of all but the last, and of the last
	parts   [2 * wire.MaxRun]syscall.Iovec
	control [5 + 3]uint64 // of the source, and the size
	to      syscall.RawSockaddrInet6
	errno   syscall.Errno
	run     func(fd uintptr)
}

var runCalls = sync.Pool{New: func() any {
	x := new(runCall)
	x.head.Name, x.head.Iov = (*byte)(unsafe.Pointer(&x.to)), &x.parts[0]
	x.head.Control = (*byte)(unsafe.Pointer(&x.control))
	x.run = func(fd uintptr) { x.errno = x.send(fd) }
	return x
}}

// fill prepares the sending of a run: with a channel's number, as ChannelData; with 0, bare.
func (x *runCall) fill(run wire.Run, number uint16, to netip.AddrPort, scope uint32, source *control) {
	x.head.Namelen = address(&x.to, to, scope)
	last, n, size := len(run)-1, 0, run[0].N
	if number != 0 {
		size += wire.ChannelHeader
		for i, of := range [2]int{run[0].N, run[last].N} {
			binary.BigEndian.PutUint16(x.headers[i][:], number)
			binary.BigEndian.PutUint16(x.headers[i][2:], uint16(of))
		}
	}
	for i := range run {
		if number != 0 {
			header := &x.headers[0]
			if i == last {
				header = &x.headers[1]
			}
			x.parts[n] = syscall.Iovec{Base: &header[0], Len: wire.ChannelHeader}
			n++
		}
		x.parts[n] = syscall.Iovec{Base: &run[i].Buf[run[i].Off], Len: uint64(run[i].N)}
		n++
	}
	x.head.Iovlen = uint64(n)
	at := 0 // in control, in words
	if source != nil {
		at = copy(x.control[:], source.buf[:source.size/8])
	}
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&x.control[at]))
	h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	h.SetLen(syscall.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&x.control[at+2])) = uint16(size)
	x.head.Controllen = uint64(8*at + syscall.CmsgSpace(2))
}

func (x *runCall) send(fd uintptr) syscall.Errno {
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&x.head)),
			syscall.MSG_DONTWAIT)
		if errno != syscall.EINTR {
			return errno
		}
	}
}

// done gives the call back. It keeps nobody's buffer alive.
func (x *runCall) done() {
	clear(x.parts[:x.head.Iovlen])
	runCalls.Put(x)
}

// canRun reports whether the kernel knows UDP_SEGMENT. One before 4.18 takes no notice of it, and
// would send a run as one datagram.
var canRun = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	return err == nil
})

func (d direct) sendRun(run wire.Run, number uint16, to netip.AddrPort, scope uint32) error {
	if d.socket == nil {
		return net.ErrClosed
	}
	x := runCalls.Get().(*runCall)
	x.fill(run, number, to, scope, nil)
	err := d.socket.Control(x.run)
	if err == nil {
		err = sent(x.errno)
	}
	x.done()
	return err
}
