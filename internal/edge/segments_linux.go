package edge

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSegment is how much a TCP segment carries at most, in both directions: as much as every path
// of IPv6 takes, and nearly every one of IPv4. A larger one would find its way where the path says
// what it takes; many lose the ICMP that would.
const maxSegment = 1280 - 40 - 20

// smallSegments bounds the segments of connections to a listener.
func smallSegments(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, maxSegment) // without it, most paths do
	})
}
