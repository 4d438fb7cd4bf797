//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"fmt"
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
	poll *os.File // epoll's descriptor
	fd   uintptr  // the same; it is used only while poll keeps it open
	raw  syscall.RawConn
	// Run's own: what the kernel has told, those who have had their turn and may have got more, and
	// room for who has it next time.
	events      [watchBatch]unix.EpollEvent
	more, spare []*relaySocket

	pulse Pulse
	read  atomic.Uint64         // datagrams, so far
	order atomic.Pointer[order] // to move sockets to another watch; nil: to keep them

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
	// datagramsInTurn is how many of a socket are read before others have their turn. They are as
	// many as a message holds at most; once more than expected are merged, there may be eight times
	// as many.
	datagramsInTurn = 64
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
	return watchOver(fd)
}

// watchOver returns a watch that owns epoll's descriptor. The error says that the runtime can't
// wait for it: then nothing would be read.
func watchOver(fd int) (*watch, error) {
	_ = unix.SetNonblock(fd, true) // so that package os has the runtime wait for it
	w := &watch{poll: os.NewFile(uintptr(fd), "epoll"), fd: uintptr(fd)}
	err := w.poll.SetReadDeadline(time.Time{}) // refused for what is not waited for
	if err == nil {
		w.raw, err = w.poll.SyscallConn()
	}
	if err != nil {
		w.poll.Close()
		return nil, fmt.Errorf("watch relay sockets: %w", err)
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
	w.pulse.Begin()
	defer w.pulse.End()
	c := catches.Get().(*catch)
	defer catches.Put(c)
	for range turnsAtOnce {
		n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, w.fd, uintptr(unsafe.Pointer(&w.events)), watchBatch,
			0, 0, 0)
		if errno != 0 {
			return errno != syscall.EAGAIN
		}
		w.more, w.spare = w.spare[:0], w.more
		for i := range w.events[:n] {
			if s := (*w.sockets.Load())[w.events[i].Fd].Load(); s != nil && !s.waits {
				w.serve(c, s)
			}
		}
		for _, s := range w.spare {
			s.waits = false
			w.serve(c, s)
		}
		clear(w.spare) // it keeps no socket
		// Of what comes from now on, the kernel tells who waits.
		if n < watchBatch && len(w.more) == 0 {
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
	got, more, failed := s.drain(c, uintptr(s.fd), datagramsInTurn, s.handle)
	w.read.Add(uint64(got))
	switch {
	case failed != 0 && w.pause(s, failed):
	case w.moves(s):
	case more || failed != 0:
		s.waits = true
		w.more = append(w.more, s)
	}
}

// pause looks at an error, and reports whether the socket is not read for some time.
func (w *watch) pause(s *relaySocket, failed syscall.Errno) bool {
	pause := s.trouble.of(failed)
	if pause == 0 {
		return false
	}
	s.paused.Store(true)
	time.AfterFunc(pause, func() {
		s.paused.Store(false)
		if s.enter() {
			s.mu.Lock()
			if s.watch != nil { // which may be another one by now
				// The kernel tells again of what there is to read.
				_ = s.watch.control(unix.EPOLL_CTL_MOD, s)
			}
			s.mu.Unlock()
			s.leave()
		}
	})
	return true
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

// add reads a socket from now on, until it is removed or closed; with an error it does not. The
// socket's mu is held.
func (w *watch) add(s *relaySocket) error {
	w.seat(s)
	err := w.control(unix.EPOLL_CTL_ADD, s)
	if err != nil {
		w.remove(s)
	}
	return err
}

// seat gives a socket a place. Its mu is held.
func (w *watch) seat(s *relaySocket) {
	w.mu.Lock()
	defer w.mu.Unlock()
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
}

// remove forgets a socket, which another watch has, or which is about to be closed: with that the
// kernel forgets it, too. Its mu is held.
func (w *watch) remove(s *relaySocket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	(*w.sockets.Load())[s.place].Store(nil)
	w.free = append(w.free, s.place)
	s.watch = nil
}
