//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package bench

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

type rawConn = syscall.RawConn

// openSocket prepares a UDP socket for batches.
func openSocket(conn *net.UDPConn, buffer int) (*udpSocket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(buffer) // the kernel caps what it grants
	_ = conn.SetWriteBuffer(buffer)
	// Without it, from old kernels, datagrams come one by one.
	err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	return &udpSocket{conn, raw}, err
}

// message is the kernel's struct mmsghdr.
type message struct {
	head syscall.Msghdr
	n    uint32
}

const batchMessages = 64

// kernel is a call of sendmmsg in the making.
type kernel struct {
	segments bool // equal datagrams for one destination go as one message (UDP_SEGMENT)
	messages [batchMessages]message
	parts    [batchMessages]syscall.Iovec
	names    [batchMessages]syscall.RawSockaddrInet6
	controls [batchMessages][3]uint64 // each one control message with two bytes
	counts   [batchMessages]int       // datagrams of the message
	n, done  int
	errno    syscall.Errno
	call     func(fd uintptr) bool
}

func (k *kernel) init(segments bool) {
	k.segments = segments
	k.call = k.sendmmsg // made once, so that a batch costs no heap allocation
}

// send sends the runs. If the kernel can't segment, it goes on without.
func (b *batch) send() error {
	k := &b.kernel
	for i, first := 0, 0; i < len(b.runs); {
		k.n, k.done, k.errno = 0, 0, 0
		begin, beginFirst := i, first
		for i < len(b.runs) && k.n < batchMessages {
			first += k.push(b.buf, &b.runs[i], first)
			if first == b.runs[i].count {
				i, first = i+1, 0
			}
		}
		if err := b.socket.raw.Write(k.call); err != nil {
			return err
		}
		switch {
		case k.errno == 0:
		case k.segments && (k.errno == syscall.EIO || k.errno == syscall.EINVAL || k.errno == syscall.EOPNOTSUPP):
			k.segments = false
			i, first = b.resume(begin, beginFirst)
		default:
			return k.errno
		}
	}
	return nil
}

// resume returns where to go on after the messages that have been sent.
func (b *batch) resume(i, first int) (int, int) {
	for _, n := range b.kernel.counts[:b.kernel.done] {
		if first += n; first == b.runs[i].count {
			i, first = i+1, 0
		}
	}
	return i, first
}

// push adds a message with datagrams of a run, from the given one on, and returns how many.
func (k *kernel) push(buf []byte, run *datagrams, first int) int {
	count := 1
	if k.segments {
		count = min(run.count-first, MaxBurst, max(1, maxDatagram/run.size))
	}
	m, at := &k.messages[k.n].head, run.at+first*run.size
	k.counts[k.n] = count
	part := &k.parts[k.n]
	part.Base, part.Len = &buf[at], uint64(count*run.size)
	*m = syscall.Msghdr{Iov: part, Iovlen: 1}
	if run.to.IsValid() {
		m.Name = (*byte)(unsafe.Pointer(&k.names[k.n]))
		m.Namelen = putName(&k.names[k.n], run.to)
	}
	if count > 1 {
		control := &k.controls[k.n]
		h := (*syscall.Cmsghdr)(unsafe.Pointer(control))
		h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		h.SetLen(syscall.CmsgLen(2))
		binary.NativeEndian.PutUint16((*[8]byte)(unsafe.Pointer(&control[2]))[:], uint16(run.size))
		m.Control = (*byte)(unsafe.Pointer(control))
		m.SetControllen(syscall.CmsgSpace(2))
	}
	k.n++
	return count
}

// putName writes a destination as the kernel wants it, and returns its size.
func putName(name *syscall.RawSockaddrInet6, to netip.AddrPort) uint32 {
	size := uint32(syscall.SizeofSockaddrInet6)
	if ip := to.Addr(); ip.Is4() { // a RawSockaddrInet4 fits into the larger one
		size = syscall.SizeofSockaddrInet4
		*(*syscall.RawSockaddrInet4)(unsafe.Pointer(name)) = syscall.RawSockaddrInet4{
			Family: syscall.AF_INET, Addr: ip.As4()}
	} else {
		*name = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Addr: ip.As16()}
	}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&name.Port))[:], to.Port())
	return size
}

func (k *kernel) sendmmsg(fd uintptr) (done bool) {
	for k.done < k.n {
		n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&k.messages[k.done])),
			uintptr(k.n-k.done), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			k.done += int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENOBUFS:
			k.done++ // the network's answer, also to an earlier packet: this one is lost
		default:
			k.errno = errno
			return true
		}
	}
	return true
}

const inboxMessages = 8

// inbox is room for a call of recvmmsg. It is borrowed only while a socket has something to read.
type inbox struct {
	messages [inboxMessages]message
	parts    [inboxMessages]syscall.Iovec
	controls [inboxMessages][8]uint64
	buffers  [inboxMessages][maxDatagram + 536]byte
}

// inboxes are lent to the receivers of a run.
type inboxes struct{ pool sync.Pool }

func (p *inboxes) get() *inbox {
	if in, ok := p.pool.Get().(*inbox); ok {
		return in
	}
	in := new(inbox)
	for i := range in.messages {
		in.parts[i] = syscall.Iovec{Base: &in.buffers[i][0], Len: uint64(len(in.buffers[i]))}
	}
	return in
}

// receive passes each datagram to take, until the socket is closed or its deadline has passed.
func (s *udpSocket) receive(p *inboxes, now func() int64, take func(datagram []byte, now int64)) {
	ready := func(fd uintptr) (done bool) {
		in := p.get()
		defer p.pool.Put(in)
		for {
			n, errno := in.recvmmsg(fd)
			switch errno {
			case 0:
			case syscall.EAGAIN:
				return false
			case syscall.EINTR, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
				continue
			default:
				return true
			}
			at := now()
			for i := range n {
				in.split(i, at, take)
			}
			if n < inboxMessages { // the socket is empty; what comes now wakes us
				return false
			}
		}
	}
	for s.raw.Read(ready) == nil {
	}
}

func (in *inbox) recvmmsg(fd uintptr) (int, syscall.Errno) {
	for i := range in.messages {
		in.messages[i].head = syscall.Msghdr{Iov: &in.parts[i], Iovlen: 1,
			Control: (*byte)(unsafe.Pointer(&in.controls[i]))}
		in.messages[i].head.SetControllen(len(in.controls[i]) * 8)
	}
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&in.messages)), inboxMessages,
		syscall.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// split passes on the datagrams that the kernel has merged into one message (UDP_GRO).
func (in *inbox) split(i int, now int64, take func([]byte, int64)) {
	rest := in.buffers[i][:in.messages[i].n]
	size := len(rest)
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&in.controls[i]))
	if in.messages[i].head.Controllen >= uint64(syscall.CmsgLen(4)) && h.Level == unix.IPPROTO_UDP &&
		h.Type == unix.UDP_GRO {
		size = int(*(*int32)(unsafe.Pointer(&in.controls[i][2])))
	}
	for size > 0 && len(rest) > 0 {
		n := min(size, len(rest))
		take(rest[:n], now)
		rest = rest[n:]
	}
}
