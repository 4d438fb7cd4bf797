package edge

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const canReusePort = true

// reusePort lets several sockets of this process share a UDP port.
func reusePort(raw syscall.RawConn, on bool) error {
	if !on {
		return nil
	}
	var err error
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}
