//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch reads many relay sockets in one goroutine: epoll(7) tells which of them have got something,
// and the runtime waits for that as for any other descriptor. So neither a goroutine for each nor a
// wake-up for what they have sent costs anything.
type watch struct {
	poll   *os.File // epoll's descriptor
	fd     uintptr  // the same; it is used only while poll keeps it open
	raw    syscall.RawConn
	events [watchBatch]unix.EpollEvent // run's own

	// sockets are by their places. What an event names may have been closed since, or be another:
	// then the reading finds nothing.
	sockets atomic.Pointer[[]atomic.Pointer[relaySocket]]
	mu      sync.Mutex // of those who change them
	taken   uint32     // places, at some time
	free    []uint32   // of those
}

const (
	// watchBatch is of how many sockets the kernel tells at a time.
	watchBatch = 64
	// readsInTurn is how often a socket is read before others have their turn.
	readsInTurn = 4
	// turnsAtOnce is how often the kernel is asked before others may close the watch.
	turnsAtOnce = 64
	// firstPlaces is room for so many sockets; it doubles.
	firstPlaces = 64
)

func newWatch() (*watch, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(fd, true) // so that package os has the runtime wait for it
	w := &watch{poll: os.NewFile(uintptr(fd), "epoll"), fd: uintptr(fd)}
	if w.raw, err = w.poll.SyscallConn(); err != nil {
		w.poll.Close()
		return nil, err
	}
	sockets := make([]atomic.Pointer[relaySocket], firstPlaces)
	w.sockets.Store(&sockets)
	return w, nil
}

// run reads the sockets until the watch is closed.
func (w *watch) run() {
	for w.raw.Read(w.turns) == nil {
	}
}

// turns gives each socket that has got something its turn, until there is none: then done is false.
func (w *watch) turns(uintptr) (done bool) {
	c := catches.Get().(*catch)
	defer catches.Put(c)
	for range turnsAtOnce {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, w.fd, uintptr(unsafe.Pointer(&w.events)), watchBatch,
			0, 0, 0)
		if errno != 0 {
			return errno != syscall.EAGAIN
		}
		for i := range w.events[:n] {
			if s := (*w.sockets.Load())[w.events[i].Fd].Load(); s != nil {
				w.serve(c, s)
			}
		}
		if n < watchBatch { // of what comes from now on, the kernel tells who waits
			return false
		}
	}
	return true
}

// serve reads a socket for one turn.
func (w *watch) serve(c *catch, s *relaySocket) {
	if s.paused.Load() || !s.enter() {
		return
	}
	defer s.leave()
	more, failed := s.drain(c, uintptr(s.fd), readsInTurn, s.handle)
	if failed != 0 {
		if pause := s.trouble.of(failed); pause > 0 {
			s.paused.Store(true)
			time.AfterFunc(pause, func() {
				s.paused.Store(false)
				w.again(s)
			})
			return
		}
		more = true
	}
	if more {
		w.again(s)
	}
}

// again has the kernel tell of a socket again, after others, if there is something to read.
func (w *watch) again(s *relaySocket) {
	if s.enter() {
		_ = w.control(unix.EPOLL_CTL_MOD, s)
		s.leave()
	}
}

// control has epoll tell once of what a socket gets, until that has been read.
func (w *watch) control(op int, s *relaySocket) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(s.place)}
	var errno syscall.Errno
	err := w.raw.Control(func(fd uintptr) {
		_, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_CTL, fd, uintptr(op), uintptr(s.fd),
			uintptr(unsafe.Pointer(&event)), 0, 0)
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("epoll_ctl", errno)
	}
	return err
}

// add reads a socket from now on, until it is removed or closed.
func (w *watch) add(s *relaySocket) error {
	w.mu.Lock()
	sockets := *w.sockets.Load()
	if n := len(w.free); n > 0 {
		s.place, w.free = w.free[n-1], w.free[:n-1]
	} else {
		s.place = w.taken
		w.taken++
	}
	if int(s.place) == len(sockets) {
		more := make([]atomic.Pointer[relaySocket], 2*len(sockets))
		for i := range sockets {
			more[i].Store(sockets[i].Load())
		}
		sockets = more
		w.sockets.Store(&sockets)
	}
	s.watch = w
	sockets[s.place].Store(s) // from now on, others look at it
	w.mu.Unlock()
	return w.control(unix.EPOLL_CTL_ADD, s)
}

// remove forgets a socket that is about to be closed: with that the kernel forgets it, too.
func (w *watch) remove(s *relaySocket) {
	w.mu.Lock()
	(*w.sockets.Load())[s.place].Store(nil)
	w.free = append(w.free, s.place)
	w.mu.Unlock()
}
