package socket

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// askFor is what to ask for: Linux takes twice as much, for its own bookkeeping.
func askFor(all int) int { return all / 2 }

// room waits until little is left in the kernel that is not on its way. A write itself does not:
// it adds to the last piece that the kernel holds, up to 64 KiB.
type room struct {
	raw   syscall.RawConn // nil: nothing is waited for
	ready func(fd uintptr) bool
	ask   [1]unix.PollFd

	try     func(fd uintptr) // of Try, as is what follows
	asks    bool
	trying  []byte
	written int
}

func newRoom(conn *net.TCPConn, unsent int) (r room) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return r
	}
	// Linux says that there is room when less than half of it is taken.
	err = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, 2*unsent) == nil {
			r.raw = raw
		}
	})
	if err != nil {
		return room{}
	}
	return r
}

// Wait waits until there is room to write, at most until the connection's write deadline. One
// goroutine calls it.
func (s *Sending) Wait() error {
	if s.raw == nil {
		return nil
	}
	if s.ready == nil {
		s.ready = s.isReady
	}
	return s.raw.Write(s.ready)
}

// Try writes what the kernel takes of b at once, and returns how much that was: nothing if the
// writing failed, too. If asks, it writes nothing unless Wait would have to wait for nothing. Who
// calls it calls neither Wait nor writes to the connection meanwhile.
func (s *Sending) Try(b []byte, asks bool) (n int) {
	if s.raw == nil {
		return 0
	}
	if s.try == nil {
		s.try = s.tryNow
	}
	s.trying, s.asks, s.written = b, asks, 0
	_ = s.raw.Control(s.try) // a connection that is over takes nothing
	s.trying = nil
	return s.written
}

func (s *Sending) tryNow(fd uintptr) {
	if s.asks && !s.isReady(fd) {
		return
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.trying))),
		uintptr(len(s.trying)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno == 0 {
		s.written = int(n)
	}
}

// Path says how the connection's path is now; ok is false if that isn't known.
func (s *Sending) Path() (p Path, ok bool) {
	if s.raw == nil {
		return p, false
	}
	_ = s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		const lossState = 4 // TCP_CA_Loss: a timeout is being recovered from
		ok = info.Rtt > 0
		p = Path{
			RTT: time.Duration(info.Rtt) * time.Microsecond, MinRTT: time.Duration(info.Min_rtt) * time.Microsecond,
			Acked: info.Bytes_acked, Stalled: info.Ca_state == lossState || info.Retransmits > 0 || info.Backoff > 0,
		}
	})
	return p, ok
}

// isReady asks as poll(2) does, which has the kernel tell when there is room. It waits for nothing,
// so the scheduler is not told, as in catch.read.
func (s *Sending) isReady(fd uintptr) bool {
	s.ask[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	now := unix.Timespec{}
	_, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&s.ask)), 1,
		uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return errno != 0 && errno != unix.EINTR || s.ask[0].Revents != 0
}
