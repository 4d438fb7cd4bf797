//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package nonblock

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// conn reads and writes by system calls of its own, and waits, ends and does all else as the
// connection of package net does. Its errors are like that one's.
type conn struct {
	*net.TCPConn
	raw       syscall.RawConn
	gathering atomic.Pointer[gathering] // nil: its writes have never been gathered
}

func of(tcp *net.TCPConn) net.Conn {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return tcp
	}
	return &conn{TCPConn: tcp, raw: raw}
}

// NetConn returns the connection underneath, as of a *tls.Conn.
func (c *conn) NetConn() net.Conn { return c.TCPConn }

func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return c.TCPConn.Read(b) // it waits for nothing
	}
	n, err := c.move(b, syscall.SYS_RECVFROM, "read", c.raw.Read)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (c *conn) write(b []byte) (int, error) {
	return c.move(b, syscall.SYS_SENDTO, "write", c.raw.Write)
}

// move does one transfer of b, with a RawConn's way to wait.
func (c *conn) move(b []byte, call uintptr, op string, wait func(func(uintptr) bool) error) (int, error) {
	t := transfers.Get().(*transfer)
	t.b, t.n, t.call, t.errno = b, 0, call, 0
	err := wait(t.run)
	n, errno := t.n, t.errno
	t.b = nil
	transfers.Put(t)
	if failed, ok := err.(*net.OpError); ok {
		failed.Op = op // not raw-read, raw-write: net/http asks
	}
	if err == nil && errno != 0 {
		err = &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(),
			Err: os.NewSyscallError(op, errno)}
	}
	return n, err
}

// transfer is one reading or writing. It is lent, so that an idle connection holds none; the
// function that RawConn wants is made once.
type transfer struct {
	b     []byte  // what is left of it
	n     int     // bytes that are through
	call  uintptr // the system call
	errno syscall.Errno
	run   func(fd uintptr) (done bool)
}

var transfers = sync.Pool{New: func() any {
	t := new(transfer)
	t.run = t.step
	return t
}}

// atOnce is how many bytes one system call moves at most: who waits for all threads, as the garbage
// collector does, waits for it.
const atOnce = 64 << 10

// step reads once, or writes all. It reports false if that has to be waited for.
//
// MSG_DONTWAIT is about the socket, not about memory. Where the machine has none left, the kernel
// looks for some before it goes on, and the thread sleeps, as with a page fault.
func (t *transfer) step(fd uintptr) (done bool) {
	for {
		n, _, errno := syscall.RawSyscall6(t.call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.b))),
			uintptr(min(len(t.b), atOnce)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			t.n += int(n)
			t.b = t.b[n:]
			if t.call == syscall.SYS_RECVFROM || len(t.b) == 0 {
				return true
			}
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.errno = errno
			return true
		}
	}
}
