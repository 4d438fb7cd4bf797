package socket

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sendRoom is what to ask for: Linux takes twice as much, for its own bookkeeping.
func sendRoom(all int) int { return all / 2 }

// room waits until little is left in the kernel that is not on its way. A write itself does not:
// it adds to the last piece that the kernel holds, up to 64 KiB.
type room struct {
	raw   syscall.RawConn // nil: nothing is waited for
	ready func(fd uintptr) bool
	ask   [1]unix.PollFd
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

// MinRTT is the shortest time that anything has taken there and back; 0: it isn't known.
func (s *Sending) MinRTT() (rtt time.Duration) {
	if s.raw == nil {
		return 0
	}
	_ = s.raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Min_rtt) * time.Microsecond
		}
	})
	return rtt
}

// isReady asks as poll(2) does, which has the kernel tell when there is room.
func (s *Sending) isReady(fd uintptr) bool {
	s.ask[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	_, err := unix.Poll(s.ask[:], 0)
	return err != nil && err != unix.EINTR || s.ask[0].Revents != 0
}
