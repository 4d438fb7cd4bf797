package netaddr

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// OpenNetlink opens an rtnetlink socket (rtnetlink(7)) that never waits. It is told of what the
// groups are about; 0: only what is asked over it.
func OpenNetlink(groups uint32) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// NextMessage takes the first netlink message off b. ok is false if there is no whole one.
func NextMessage(b []byte) (typ uint16, data, rest []byte, ok bool) {
	if len(b) < unix.SizeofNlMsghdr {
		return 0, nil, b, false
	}
	size := int(binary.NativeEndian.Uint32(b))
	if size < unix.SizeofNlMsghdr || size > len(b) {
		return 0, nil, b, false
	}
	end := min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b))
	return binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:size], b[end:], true
}

// NextAttribute takes the first attribute off those of a message. ok is false if there is no whole
// one.
func NextAttribute(b []byte) (typ uint16, value, rest []byte, ok bool) {
	if len(b) < unix.SizeofRtAttr {
		return 0, nil, b, false
	}
	size := int(binary.NativeEndian.Uint16(b))
	if size < unix.SizeofRtAttr || size > len(b) {
		return 0, nil, b, false
	}
	end := min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b))
	return binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:size], b[end:], true
}
