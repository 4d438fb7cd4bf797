package socket

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// Read passes the datagrams of a UDP socket to handle until the socket is closed: in order, as many
// at a time as were there. They are handle's until it returns.
func Read(conn *net.UDPConn, faults *Faults, handle func([]wire.Datagram)) {
	r := receiver{trouble: trouble{faults: faults}, zoned: true}
	r.receive(conn, handle)
}

// Faults is told of every error that reading a socket ends in, for all sockets of a server.
type Faults struct {
	count func()
	log   *slog.Logger
	told  chan error // to be logged by Run: a log may be slow, and those who read wait for nobody

	mu     sync.Mutex
	logged map[syscall.Errno]bool // by kind; 0 is all that is no error number
}

// NewFaults has each error counted, and the first of each kind logged by Run.
func NewFaults(count func(), log *slog.Logger) *Faults {
	return &Faults{count: count, log: log, told: make(chan error, 8), logged: map[syscall.Errno]bool{}}
}

// Run logs until done is closed.
func (f *Faults) Run(done <-chan struct{}) {
	for {
		select {
		case err := <-f.told:
			f.log.Warn("read a UDP socket: errors of this kind are only counted from now on", "err", err)
		case <-done:
			return
		}
	}
}

func (f *Faults) note(kind syscall.Errno, err error) {
	f.count()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logged[kind] {
		return
	}
	select {
	case f.told <- err:
		f.logged[kind] = true
	default: // many kinds at once: the next of this one
	}
}

// Bounds of the pause after an error that may last: it doubles from one error to the next, and ends
// with the first datagram.
const (
	minPause = time.Millisecond
	maxPause = time.Second
	// closedCheck is how often a pausing reader looks whether its socket was closed.
	closedCheck = 10 * time.Millisecond
)

// trouble counts one reader's errors on its socket. Nobody else uses it.
type trouble struct {
	faults *Faults
	pause  time.Duration
}

// over is called when something was read.
func (t *trouble) over() { t.pause = 0 }

// of records an error, and returns how long not to read.
func (t *trouble) of(err error) time.Duration {
	var kind syscall.Errno
	errors.As(err, &kind)
	t.faults.note(kind, err)
	if ofAnEarlierPacket(kind) {
		return 0
	}
	t.pause = min(max(2*t.pause, minPause), maxPause)
	return t.pause
}

// with records an error, waits if it may last, and reports whether to read on: not once the socket
// is closed.
func (t *trouble) with(err error, socket syscall.RawConn) bool {
	for left := t.of(err); left > 0; left -= closedCheck {
		time.Sleep(min(left, closedCheck))
		if socket.Control(func(uintptr) {}) != nil {
			return false
		}
	}
	return true
}

// ofAnEarlierPacket reports whether the error is the network's answer, by ICMP, to a packet that we
// sent. It says nothing about the next datagram, and there are no more such errors than packets. So
// the reader does not pause for it: otherwise anybody who can forge an ICMP message could make the
// socket deaf.
func ofAnEarlierPacket(kind syscall.Errno) bool {
	switch kind {
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EMSGSIZE:
		return true
	case 10052, 10054: // WSAENETRESET, WSAECONNRESET: so they are called on Windows
		return true
	}
	return false
}
