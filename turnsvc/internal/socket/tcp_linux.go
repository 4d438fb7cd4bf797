package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// sendRoom is what to ask for: Linux takes twice as much, for its own bookkeeping.
func sendRoom(all int) int { return all / 2 }

func boundUnsent(conn *net.TCPConn, unsent int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
