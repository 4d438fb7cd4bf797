package turnsvc

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/nonblock"
	"signalbox/internal/source"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// timeouts of streams, in the system's time, since package net knows no other.
type timeouts struct {
	firstFrame time.Duration // for a client to say anything sensible
	idle       time.Duration // without a frame, for a client that holds no allocation
	stranger   time.Duration // without an allocation, whatever it says
	write      time.Duration // for a client to take what is written
}

// deadlineIn is what a deadline of net.Conn is set to.
func deadlineIn(d time.Duration) time.Time { return time.Now().Add(d) }

// streams serve connections, counted in all and by source.
type streams struct {
	*core
	front *front
	books *books
	timeouts
	mediaAge time.Duration // mediaAge, but in tests
	tls      *tls.Config   // for TLS on plain ports; nil: none
	crowd    *source.Crowd
	runs     sync.Pool    // of *[]byte: runs that are written
	told     atomic.Int64 // clock; before that, nothing more is logged of too many

	mu     sync.Mutex
	all    map[*streamLink]struct{} // nil once they have been closed
	guests *guests                  // those without an allocation
}

func newStreams(c *core, l *Limits) *streams {
	return &streams{
		core: c, timeouts: timeouts{
			firstFrame: 15 * time.Second, idle: time.Minute, stranger: 30 * time.Second, write: 30 * time.Second,
		},
		crowd: source.NewCrowd(l.Connections, l.ConnectionsPerSource), all: map[*streamLink]struct{}{},
		runs:   sync.Pool{New: func() any { return new([]byte) }},
		guests: newGuests(), mediaAge: mediaAge,
	}
}

// serve is Server.ServeConn.
func (t *streams) serve(conn net.Conn, transport string) {
	conn = nonblock.Conn(conn)
	l := &streamLink{conn: conn, carrier: conn, name: transport, streams: t, addr: wire.AddrPort(conn.LocalAddr()),
		peer: wire.AddrPort(conn.RemoteAddr()), bottom: socket.Bottom(conn), began: time.Now()}
	l.out.init(t.mediaAge)
	if !t.add(l) {
		conn.Close()
		return
	}
	defer t.remove(l)
	l.sending = socket.NewSending(l.bottom, unsentRoom)
	l.gather = nonblock.GathererOf(conn)
	socket.BoundUnread(l.bottom, strangerUnread)
	opened := false
	t.safely("panic in a stream's handshake", func() { opened = l.open(t.tls) })
	if !opened {
		l.close()
		return
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.close()
		t.safely("panic in a stream's writer", l.write)
	}()
	t.safely("panic in a stream's reader", func() {
		if transport == "dtls" {
			l.readRecords()
		} else {
			l.read()
		}
	})
	l.close()
	<-done
	if a := l.a.Load(); a != nil {
		// A request that is still queued may make another: the books look whether l is closed.
		t.books.end(a, endStream)
	}
}

// streamLink is one TURN client on a TCP, TLS or DTLS connection.
type streamLink struct {
	conn    net.Conn
	carrier net.Conn          // of the frames: conn, or TLS over it
	bottom  net.Conn          // what conn stands on, or conn
	sending socket.Sending    // of bottom
	gather  nonblock.Gatherer // of what TLS writes; nil: it is written as it comes
	began   time.Time
	name    string         // of the transport
	addr    netip.AddrPort // local
	peer    netip.AddrPort
	streams *streams
	leave   func() // gives back its place in the crowd, once; nil: it has none

	// Owned by who writes: write, or straight.
	fit     fit
	bounded int // what the kernel may hold
	unasked int // bytes that were written since it was asked

	toldProving bool // owned by the reader: streams.mu is taken once

	// Guarded by streams.mu.
	left    bool       // it has no place any more
	proving bool       // it has answered a nonce
	guest   guestPlace // its place among the guests

	a   atomic.Pointer[allocation]
	out outbox
}

func (l *streamLink) padded() bool                          { return l.name != "dtls" }
func (l *streamLink) transport() string                     { return l.name }
func (l *streamLink) local() netip.AddrPort                 { return l.addr }
func (l *streamLink) allocation(netip.AddrPort) *allocation { return l.a.Load() }

func (l *streamLink) setAllocation(_ netip.AddrPort, a *allocation) {
	unread := strangerUnread
	if a != nil {
		unread = clientUnread
	}
	socket.BoundUnread(l.bottom, unread)
	l.streams.mu.Lock()
	defer l.streams.mu.Unlock()
	l.a.Store(a)
	l.streams.seat(l)
}

func (l *streamLink) answered() {
	if l.toldProving {
		return
	}
	l.toldProving = true
	l.streams.mu.Lock()
	defer l.streams.mu.Unlock()
	l.proving = true
	l.streams.seat(l)
}

func (l *streamLink) closed() bool { return l.out.over() }

// close ends the connection; the reader, whose read fails, then cleans up. What conn itself does to
// close, as TLS does, may wait for the client; what it stands on waits for nobody.
func (l *streamLink) close() {
	l.out.end()
	if l.bottom != l.conn {
		l.bottom.Close()
	}
	l.conn.Close()
}

// holds reports whether the client has an allocation now.
func (l *streamLink) holds() bool {
	a := l.a.Load()
	return a != nil && a.running(l.streams.clock.now())
}
