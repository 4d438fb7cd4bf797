//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"signalbox/turnsvc/internal/wire"
)

// readBatch is how many messages one system call reads at most. A message is a datagram, or a run
// of them that the kernel has merged (udp(7), UDP_GRO).
const readBatch = 8

// datagramsAtOnce is how many of a socket are read before others may close it.
const datagramsAtOnce = 512

// message is a struct mmsghdr (recvmmsg(2)).
type message struct {
	syscall.Msghdr
	size uint32
	_    uint32
}

// catch is where messages are read into. It is lent to a socket while there may be something to
// read: an idle allocation holds none.
type catch struct {
	messages [readBatch]message
	parts    [readBatch]syscall.Iovec
	sources  [readBatch]syscall.RawSockaddrInet6
	controls [readBatch][3]uint64 // room for one int
	list     [wire.MaxRun]wire.Datagram
	buffers  [readBatch]wire.Buffer
}

var catches = sync.Pool{New: func() any {
	c := new(catch)
	for i := range c.messages {
		room := c.buffers[i].Room()
		c.parts[i] = syscall.Iovec{Base: &room[0], Len: uint64(len(room))}
		c.messages[i].Msghdr = syscall.Msghdr{
			Name: (*byte)(unsafe.Pointer(&c.sources[i])), Iov: &c.parts[i], Iovlen: 1,
			Control: (*byte)(unsafe.Pointer(&c.controls[i])),
		}
	}
	return c
}}

// read reads so many messages at most, and returns how many there were. It waits for no datagram,
// so Go's scheduler is not told of the system call: then it would have its monitor look every 20 µs
// whether that has come back, which costs more than the call. The same goes for those that send.
//
// MSG_DONTWAIT is about the socket, not about memory. Where the machine has none left, the kernel
// looks for some before it goes on (a socket's buffers are GFP_KERNEL), and so it does for a page
// of ours that is swapped out. Meanwhile the thread sleeps with the goroutines that the scheduler
// has given it, and who waits for all threads, as the garbage collector does, waits for it. A page
// fault in Go's own code does the same, which the scheduler doesn't know of either.
func (c *catch) read(fd uintptr, most int) (int, syscall.Errno) {
	for i := range c.messages[:most] {
		c.messages[i].Namelen = syscall.SizeofSockaddrInet6
		c.messages[i].Controllen = uint64(unsafe.Sizeof(c.controls[i]))
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&c.messages)), uintptr(most),
		syscall.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// segment is the size of the datagrams that the kernel has merged into a message, but for the last,
// which may be shorter; 0: it has not.
func (c *catch) segment(i int) int {
	if c.messages[i].Controllen < uint64(syscall.CmsgLen(4)) {
		return 0
	}
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&c.controls[i]))
	if h.Level != unix.SOL_UDP || h.Type != unix.UDP_GRO {
		return 0
	}
	return int(*(*int32)(unsafe.Pointer(&c.controls[i][2])))
}

// receiver reads a UDP socket with buffers that are borrowed only once the socket is known to be
// readable. net's own ReadFrom would hold 64 KiB a socket while it waits.
type receiver struct {
	trouble trouble
	merge   merging
	each    int               // datagrams in a message, as it was lately
	zoned   bool              // sources have zones: clients' do
	zones   map[uint32]string // interfaces' numbers, in digits
}

// receive reads a socket of package net until it is closed.
func (r *receiver) receive(conn *net.UDPConn, handle func([]wire.Datagram)) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return // there is no socket
	}
	var failed syscall.Errno
	ready := func(fd uintptr) (done bool) {
		c := catches.Get().(*catch)
		defer catches.Put(c)
		var more bool
		_, more, failed = r.drain(c, fd, datagramsAtOnce, handle)
		return more || failed != 0 // whoever closes the socket waits for this to return
	}
	for raw.Read(ready) == nil && (failed == 0 || r.trouble.with(failed, raw)) {
	}
}

// drain hands on what there is to read: so many datagrams, or what the last messages bring beyond
// that. got is how many that were; more: there may be more; else failed says why there is not, or
// 0.
func (r *receiver) drain(c *catch, fd uintptr, most int, handle func([]wire.Datagram)) (
	got int, more bool, failed syscall.Errno,
) {
	for got < most {
		batch := min(max((most-got)/max(r.each, 1), 1), readBatch)
		n, errno := c.read(fd, batch)
		switch errno {
		case 0:
			r.trouble.over()
			datagrams := r.pass(c, n, fd, handle)
			got, r.each = got+datagrams, datagrams/max(n, 1)
			// There was no more, or an error, of which the kernel tells who waits, as of what comes
			// from now on.
			if n < batch {
				return got, false, 0
			}
		case syscall.EAGAIN:
			return got, false, 0
		case syscall.EINTR:
			got++ // so that it comes to an end
		default:
			return got, false, errno
		}
	}
	return got, true, 0
}

// pass hands on what n messages have brought, and returns how many datagrams that were.
func (r *receiver) pass(c *catch, n int, fd uintptr, handle func([]wire.Datagram)) int {
	datagrams, alike, count := 0, 0, 0
	for i := range n {
		size := int(c.messages[i].size)
		each := c.segment(i)
		if each <= 0 {
			each = size
		}
		from := r.source(&c.sources[i])
		for off := 0; ; {
			d := wire.Datagram{From: from}
			d.Packet = wire.Packet{Buf: c.buffers[i][:], Off: wire.Headroom + off, N: min(each, size-off)}
			if !r.merge.decided && count > 0 && c.list[count-1].N == d.N && c.list[count-1].From == from {
				alike++
			}
			c.list[count] = d
			if count++; count == len(c.list) {
				handle(c.list[:])
				datagrams, count = datagrams+count, 0
			}
			if off += each; off >= size {
				break
			}
		}
	}
	if count > 0 {
		handle(c.list[:count])
	}
	r.merge.learn(fd, datagrams+count, alike)
	return datagrams + count
}

// merging decides whether the kernel merges a socket's datagrams: that makes runs cheaper, and
// single ones a little dearer. It stays so: what the kernel has merged already would come as one
// datagram once it was told not to.
type merging struct {
	decided        bool // it does, or can't
	datagrams, run int  // since it was looked at last; run: those that go on with a run
}

// mergingLook is after how many datagrams it is looked at whether a quarter of them are in runs.
const mergingLook = 256

// learn counts what a reading has brought.
func (m *merging) learn(fd uintptr, datagrams, alike int) {
	if m.decided {
		return
	}
	m.datagrams += datagrams
	m.run += alike
	if m.datagrams < mergingLook {
		return
	}
	if 4*m.run >= m.datagrams {
		m.decided = true
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) // not before Linux 5.0
	}
	m.datagrams, m.run = 0, 0
}

func (r *receiver) source(from *syscall.RawSockaddrInet6) netip.AddrPort {
	switch from.Family {
	case syscall.AF_INET:
		sa := (*syscall.RawSockaddrInet4)(unsafe.Pointer(from))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), networkPort(&sa.Port))
	case syscall.AF_INET6:
		ip := netip.AddrFrom16(from.Addr).Unmap()
		if r.zoned && from.Scope_id != 0 && ip.Is6() {
			ip = ip.WithZone(r.zone(from.Scope_id))
		}
		return netip.AddrPortFrom(ip, networkPort(&from.Port))
	}
	return netip.AddrPort{}
}

func networkPort(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}

// zone is the number of an interface, in digits, as package net has it for one that has no name. A
// name would have to be asked for again and again, while others wait to be read.
func (r *receiver) zone(index uint32) string {
	z, ok := r.zones[index]
	if !ok {
		if r.zones == nil {
			r.zones = map[uint32]string{}
		}
		z = strconv.FormatUint(uint64(index), 10)
		r.zones[index] = z
	}
	return z
}
