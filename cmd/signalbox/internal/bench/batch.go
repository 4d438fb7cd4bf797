package bench

import (
	"net"
	"net/netip"
)

const (
	maxDatagram = 65000
	batchBytes  = 256 << 10
	batchRuns   = 64
)

// batch collects datagrams that leave by one socket, and hands them to the kernel together. It
// belongs to one sender.
type batch struct {
	socket *udpSocket
	buf    []byte
	used   int
	runs   []datagrams
	kernel kernel
}

// datagrams are some of equal size for one destination.
type datagrams struct {
	to    netip.AddrPort // none: the socket is connected
	at    int            // where they are in the buffer
	size  int
	count int
}

func newBatch(segments bool) *batch {
	b := &batch{buf: make([]byte, batchBytes), runs: make([]datagrams, 0, batchRuns)}
	b.kernel.init(segments)
	return b
}

// full reports whether the next datagrams do not fit.
func (b *batch) full(bytes int) bool { return b.used+bytes > len(b.buf) || len(b.runs) == cap(b.runs) }

// add returns room for datagrams, which the caller fills before the next flush.
func (b *batch) add(to netip.AddrPort, size, count int) []byte {
	b.runs = append(b.runs, datagrams{to: to, at: b.used, size: size, count: count})
	room := b.buf[b.used : b.used+size*count]
	b.used += size * count
	return room
}

// flush sends all of it, and waits where the socket's buffer is full. The error says that the
// socket can't be used any more; a datagram that the network refused is no error.
func (b *batch) flush() error {
	if len(b.runs) == 0 {
		return nil
	}
	err := b.send()
	b.runs, b.used = b.runs[:0], 0
	return err
}

// udpSocket is a client's or a peer's.
type udpSocket struct {
	*net.UDPConn
	raw rawConn
}
