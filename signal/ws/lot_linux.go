package ws

import (
	"cmp"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lot is where connections are parked: they wait there for their clients without a goroutine of
// their own, all by one epoll. That is closed, and its goroutine ends, when the last one leaves.
type lot struct {
	mu    sync.Mutex
	epoll *os.File        // nil while nobody is here
	conns map[int32]*conn // by ticket: all that were parked and have not left
	last  int32           // the ticket given out last
}

// park leaves a connection here until its client says something or is gone: then it works. From
// then on the caller does not own its reading, unless park reports false: it can't be parked.
func (l *lot) park(c *conn) bool {
	socket := socketOf(c.Conn)
	if socket == nil {
		return false
	}
	how := unix.EPOLL_CTL_MOD
	if c.ticket == 0 {
		how = unix.EPOLL_CTL_ADD
	}
	epoll, err := l.enter(c)
	if err != nil {
		return false
	}
	// Once, so that one goroutine at a time works. A client that has spoken already is seen, too.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: c.ticket}
	c.parked.Store(true)
	// Now it may be fetched, end, and be the last that leaves. Control keeps either descriptor
	// open, so none is another's by now; if one is closed, there is nothing to wait for.
	var failed error
	err = socket.Control(func(fd uintptr) {
		failed = control(epoll, func(epfd uintptr) error { return unix.EpollCtl(int(epfd), how, int(fd), &event) })
	})
	if err == nil && failed == nil || !c.fetch() {
		return true
	}
	l.leave(c)
	return false
}

// enter has a connection known here. It returns the epoll.
func (l *lot) enter(c *conn) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ticket != 0 {
		return l.epoll, nil
	}
	if l.epoll == nil {
		epoll, err := newEpoll()
		if err != nil {
			return nil, err
		}
		l.epoll, l.conns = epoll, make(map[int32]*conn)
		go l.watch(epoll)
	}
	for c.ticket == 0 || l.conns[c.ticket] != nil {
		l.last++
		c.ticket = l.last
	}
	l.conns[c.ticket] = c
	return l.epoll, nil
}

// leave forgets a connection, if it was here at all. The kernel forgets it when it is closed.
func (l *lot) leave(c *conn) {
	if c.ticket == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c.ticket)
	if c.ticket = 0; len(l.conns) == 0 {
		l.epoll.Close()
		l.epoll, l.conns = nil, nil
	}
}

// watch has connections work whose clients speak or are gone. It waits for the epoll as for a
// socket, so that no thread is blocked in it.
func (l *lot) watch(epoll *os.File) {
	raw, err := epoll.SyscallConn()
	if err != nil {
		return // closed already
	}
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := raw.Read(func(epfd uintptr) bool {
			n, _ = unix.EpollWait(int(epfd), events[:], 0) // interrupted, it is tried again
			return n > 0
		})
		if err != nil {
			return
		}
		l.mu.Lock()
		for _, event := range events[:n] {
			if c := l.conns[event.Fd]; c != nil && c.fetch() {
				go c.work(0)
			}
		}
		l.mu.Unlock()
	}
}

// newEpoll makes an epoll that can be waited for.
func newEpoll() (*os.File, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "epoll"), nil
}

// control calls f with a file's descriptor, unless the file is closed.
func control(file *os.File, f func(fd uintptr) error) (err error) {
	raw, closed := file.SyscallConn()
	if closed == nil {
		closed = raw.Control(func(fd uintptr) { err = f(fd) })
	}
	return cmp.Or(closed, err)
}

// socketOf is the socket under a connection; nil: there is none, or it is not known.
func socketOf(c net.Conn) syscall.RawConn {
	for {
		switch over := c.(type) {
		case syscall.Conn:
			raw, _ := over.SyscallConn() // nil with an error
			return raw
		case interface{ NetConn() net.Conn }:
			c = over.NetConn()
		default:
			return nil
		}
	}
}
