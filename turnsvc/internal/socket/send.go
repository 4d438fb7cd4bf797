package socket

import (
	"errors"
	"syscall"
)

// Why a datagram was not sent. Nobody waits until it can be.
var (
	// ErrFull says that the kernel holds as much of that socket as it may.
	ErrFull = errors.New("the socket's send buffer is full")
	// ErrAbsent says that the datagram is for an address on a network of this host at which nobody
	// answers; see Neighbors.
	ErrAbsent = errors.New("nobody answers at that address of this network")
)

// sent is what a system call's error number says.
func sent(errno syscall.Errno) error {
	switch errno {
	case 0:
		return nil
	case syscall.EAGAIN, syscall.ENOBUFS:
		return ErrFull
	}
	return errno
}

// controller lends a socket's descriptor, as a syscall.RawConn does, and keeps it open meanwhile.
// It refuses once the socket is closed.
type controller interface {
	Control(f func(fd uintptr)) error
}
