package netaddr

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// changes are rtnetlink's groups of what Follow follows.
const changes = unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// listen pokes told when the kernel tells of a change, until ctx is done. Where it can't listen, or
// no longer, it tries again after the interval.
func listen(ctx context.Context, interval time.Duration, told chan<- struct{}) {
	for ; ctx.Err() == nil; pause(ctx, interval) {
		if fd, err := OpenNetlink(changes); err == nil {
			file := os.NewFile(uintptr(fd), "rtnetlink") // which the runtime polls
			stop := context.AfterFunc(ctx, func() { file.Close() })
			hear(ctx, file, told)
			stop()
			file.Close()
		}
	}
}

// hear pokes told until the socket fails or is closed.
func hear(ctx context.Context, file *os.File, told chan<- struct{}) {
	raw, err := file.SyscallConn()
	for ; err == nil; pause(ctx, settleTime) { // more may come: what the kernel can't keep counts as heard
		heard, failed := false, error(nil)
		err = raw.Read(func(fd uintptr) bool {
			heard, failed = drain(int(fd))
			return heard || failed != nil
		})
		if heard {
			Poke(told)
		}
		err = errors.Join(err, failed)
	}
}

// drain takes some of what the kernel tells, and reports whether there was any. It keeps nothing:
// who is told looks himself. The error says that the socket is of no more use.
func drain(fd int) (heard bool, err error) {
	var buf [64]byte // the rest of a message is dropped
	const atOnce = 256
	for range atOnce {
		_, _, err := unix.Recvfrom(fd, buf[:], unix.MSG_DONTWAIT)
		switch err {
		case nil, unix.ENOBUFS: // there were more than the kernel keeps
			heard = true
		case unix.EINTR:
		case unix.EAGAIN:
			return heard, nil
		default:
			return heard, err
		}
	}
	return heard, nil
}
