package turnsvc

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/wire"
)

const (
	// streamQueue bounds what waits for a slow client, in bytes. The stream drops what does not
	// fit, as a network would.
	streamQueue = 256 << 10
	// streamBuffer is the size of the read buffer that a stream starts with. A longer frame of a
	// client with an allocation makes it grow to that frame's size; a stranger's frames must fit.
	streamBuffer = wire.StrangerFrame
)

// timeouts of streams, in the system's time, since package net knows no other.
type timeouts struct {
	firstFrame time.Duration // for a client to say anything sensible
	idle       time.Duration // without a frame, for a client that holds no allocation
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
	crowd *source.Crowd

	mu  sync.Mutex
	all map[*streamLink]struct{} // nil once they have been closed
}

func newStreams(c *core, l *Limits) *streams {
	return &streams{
		core: c, timeouts: timeouts{firstFrame: 15 * time.Second, idle: time.Minute, write: 30 * time.Second},
		crowd: source.NewCrowd(l.Connections, l.ConnectionsPerSource), all: map[*streamLink]struct{}{},
	}
}

// serve is Server.ServeConn.
func (t *streams) serve(conn net.Conn, transport string) {
	l := &streamLink{conn: conn, name: transport, streams: t, addr: wire.AddrPort(conn.LocalAddr()),
		peer: wire.AddrPort(conn.RemoteAddr())}
	l.wake.L = &l.mu
	if !t.add(l) {
		conn.Close()
		return
	}
	defer t.remove(l)

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
		t.books.end(a) // a request that is still queued may make another: the books look whether l is closed
	}
}

func (t *streams) add(l *streamLink) (ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return false
	}
	if l.leave, ok = t.crowd.Enter(l.peer.Addr()); ok {
		t.all[l] = struct{}{}
	}
	return ok
}

func (t *streams) remove(l *streamLink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, l)
	l.leave()
}

// closeAll ends every stream and admits no more.
func (t *streams) closeAll() {
	t.mu.Lock()
	all := t.all
	t.all = nil
	t.mu.Unlock()
	for l := range all { // nobody adds to it or removes from it any more
		l.close()
	}
}

// streamLink is one TURN client on a TCP, TLS or DTLS connection.
type streamLink struct {
	conn    net.Conn
	name    string         // of the transport
	addr    netip.AddrPort // local
	peer    netip.AddrPort
	streams *streams
	leave   func() // gives back its place in the crowd
	a       atomic.Pointer[allocation]

	mu      sync.Mutex
	wake    sync.Cond
	pending []byte // frames to be written, guarded by mu
	ended   bool   // guarded by mu
}

func (l *streamLink) padded() bool                                  { return l.name != "dtls" }
func (l *streamLink) transport() string                             { return l.name }
func (l *streamLink) local() netip.AddrPort                         { return l.addr }
func (l *streamLink) allocation(netip.AddrPort) *allocation         { return l.a.Load() }
func (l *streamLink) setAllocation(_ netip.AddrPort, a *allocation) { l.a.Store(a) }

// send queues one frame. A client that reads too slowly loses its own frames, and nobody waits for
// it.
func (l *streamLink) send(frame []byte, _ netip.AddrPort) {
	l.mu.Lock()
	switch {
	case l.ended:
	case len(frame) > dtls.MaxRecord && l.name == "dtls":
		l.streams.counters.drop(dropWriteFailed)
	case len(l.pending)+len(frame) > streamQueue:
		l.streams.counters.drop(dropSlowClient)
	default:
		l.pending = append(l.pending, frame...)
		l.wake.Signal()
	}
	l.mu.Unlock()
}

func (l *streamLink) answer(frame []byte, to netip.AddrPort) { l.send(frame, to) }

// write moves queued frames to the connection until that is closed or fails.
func (l *streamLink) write() {
	var out []byte
	for {
		l.mu.Lock()
		for len(l.pending) == 0 && !l.ended {
			l.wake.Wait()
		}
		if l.ended {
			l.mu.Unlock()
			return
		}
		out, l.pending = l.pending, out[:0]
		l.mu.Unlock()

		if l.writeFrames(out) != nil {
			return
		}
		if cap(out) > 2*streamBuffer {
			out = nil // a burst's buffer is not kept for the connection's life
		}
	}
}

// writeFrames writes whole frames: on TCP all at once; on DTLS and TLS one per record, since some
// clients take a record for a frame (coturn's turnutils_uclient).
func (l *streamLink) writeFrames(frames []byte) error {
	if err := l.conn.SetWriteDeadline(deadlineIn(l.streams.timeouts.write)); err != nil {
		return err
	}
	for len(frames) > 0 {
		size := len(frames)
		switch l.name {
		case "tls":
			_, size, _ = wire.FrameSize(frames, true)
		case "dtls":
			size, _, _ = wire.FrameSize(frames, true) // nothing is padded there
		}
		if _, err := l.conn.Write(frames[:size]); err != nil {
			return err
		}
		frames = frames[size:]
	}
	return nil
}

func (l *streamLink) closed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// close ends the connection; the reader, whose read fails, then cleans up.
func (l *streamLink) close() {
	l.mu.Lock()
	l.ended = true
	l.wake.Signal()
	l.mu.Unlock()
	l.conn.Close()
}

// mayBeSilent reports whether the stream goes on after a read failed with err: if the client was
// only silent, its allocation's lifetime decides how long it may be so.
func (l *streamLink) mayBeSilent(err error) bool {
	a := l.a.Load()
	return a != nil && a.running(l.streams.clock.now()) && errors.Is(err, os.ErrDeadlineExceeded)
}

// read cuts the stream into frames until the connection ends, breaks the framing, or stalls.
func (l *streamLink) read() {
	in := &inlet{link: l}
	buf, start, end := compact(nil, 0, 0, 0) // buf[start:end] is unread
	deadline := deadlineIn(l.streams.firstFrame)
	known := false // it has, or had, an allocation
	for {
		need := 4
		for {
			known = known || l.a.Load() != nil
			size, padded, ok := wire.FrameSize(buf[start:end], known)
			if !ok {
				l.streams.counters.drop(dropMalformed)
				return
			}
			if size == 0 || padded > end-start {
				need = max(need, padded)
				break
			}
			l.streams.front.receive(in, wire.Packet{Buf: buf, Off: start, N: size}, l.peer)
			start += padded
			deadline = deadlineIn(l.streams.idle)
		}
		if start+need+wire.Tailroom > len(buf) || start == end {
			buf, start, end = compact(buf, start, end, need)
		}
		if l.conn.SetReadDeadline(deadline) != nil {
			return
		}
		n, err := l.conn.Read(buf[end : len(buf)-wire.Tailroom])
		end += n
		if err != nil && n == 0 {
			if !l.mayBeSilent(err) {
				return
			}
			deadline = deadlineIn(l.streams.idle)
		}
	}
}

// readRecords reads a DTLS connection, where each record is a frame (RFC 7350 §3), until it ends or
// stalls.
func (l *streamLink) readRecords() {
	in := &inlet{link: l}
	buf := make([]byte, wire.Headroom+dtls.MaxDatagram+wire.Tailroom)
	timeout := l.streams.firstFrame
	for {
		if l.conn.SetReadDeadline(deadlineIn(timeout)) != nil {
			return
		}
		n, err := l.conn.Read(buf[wire.Headroom : wire.Headroom+dtls.MaxDatagram])
		switch {
		case err == nil:
			l.streams.front.receive(in, wire.Packet{Buf: buf, Off: wire.Headroom, N: n}, l.peer)
		case !l.mayBeSilent(err):
			return
		}
		timeout = l.streams.idle
	}
}

// compact moves the unread bytes to the front: to a larger buffer if a frame of need bytes would
// not fit, and back to a small one when a large one is empty.
func compact(buf []byte, start, end, need int) ([]byte, int, int) {
	want := wire.Headroom + max(need, streamBuffer) + wire.Tailroom
	next := buf
	if len(buf) < want || (start == end && len(buf) > want) {
		next = make([]byte, want)
	}
	n := copy(next[wire.Headroom:], buf[start:end])
	return next, wire.Headroom, wire.Headroom + n
}
