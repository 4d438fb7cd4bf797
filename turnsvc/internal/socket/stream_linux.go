//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// stream is a TCP connection whose reads and writes Go's scheduler is not told of, as in
// catch.read: they don't wait in the kernel.
type stream struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is one reading, or one writing. The function that RawConn wants is made once.
type transfer struct {
	b     []byte // what is left of it
	n     int    // bytes that are through
	errno syscall.Errno
	run   func(fd uintptr) (done bool)
}

// NewStream returns the connection with reads and writes that cost less. One goroutine reads it and
// one writes it.
func NewStream(conn *net.TCPConn) net.Conn {
	raw, err := conn.SyscallConn()
	if err != nil {
		return conn // it has been closed
	}
	s := &stream{TCPConn: conn, raw: raw}
	s.in.run = func(fd uintptr) bool { return s.in.step(fd, syscall.SYS_RECVFROM) }
	s.out.run = func(fd uintptr) bool {
		for len(s.out.b) > 0 {
			if done := s.out.step(fd, syscall.SYS_SENDTO); !done || s.out.errno != 0 {
				return done
			}
		}
		return true
	}
	return s
}

// step does one system call; done is false if it has to be waited for.
func (t *transfer) step(fd, call uintptr) (done bool) {
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))), uintptr(len(t.b)),
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch t.errno = errno; errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			t.n += int(n)
			t.b = t.b[n:]
		}
		return true
	}
}

// with does one transfer of b through a connection's way to wait.
func (t *transfer) with(b []byte, name string, wait func(func(uintptr) bool) error) (n int, err error) {
	t.b, t.n, t.errno = b, 0, 0
	if err = wait(t.run); err == nil && t.errno != 0 {
		err = os.NewSyscallError(name, t.errno)
	}
	t.b = nil
	return t.n, err
}

func (s *stream) Read(b []byte) (int, error) {
	n, err := s.in.with(b, "recvfrom", s.raw.Read)
	if n == 0 && err == nil && len(b) > 0 {
		err = io.EOF
	}
	return n, err
}

func (s *stream) Write(b []byte) (int, error) { return s.out.with(b, "sendto", s.raw.Write) }
