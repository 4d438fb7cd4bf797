package turnsvc

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/wire"
)

const (
	// streamQueue bounds what waits for a slow client, in bytes. What does not fit is dropped, as a
	// network would.
	streamQueue = 256 << 10
	// streamBuffer is the read buffer that a stream starts with. A longer frame of a client that is
	// known makes it grow to that frame's size; a stranger's frames must fit.
	streamBuffer = wire.StrangerFrame
)

// streamLink is one TURN client on a TCP, TLS or DTLS connection.
type streamLink struct {
	conn net.Conn
	name string
	addr netip.AddrPort // local
	peer netip.AddrPort
	s    *Server
	a    atomic.Pointer[allocation]

	mu      sync.Mutex
	wake    sync.Cond
	pending []byte // frames to be written, guarded by mu
	closed  bool   // guarded by mu
}

func (l *streamLink) stream() bool                                  { return l.name != "dtls" }
func (l *streamLink) transport() string                             { return l.name }
func (l *streamLink) local() netip.AddrPort                         { return l.addr }
func (l *streamLink) allocation(netip.AddrPort) *allocation         { return l.a.Load() }
func (l *streamLink) setAllocation(_ netip.AddrPort, a *allocation) { l.a.Store(a) }

// send queues one frame. A client that reads too slowly loses its own frames, and nobody waits for
// it.
func (l *streamLink) send(frame []byte, _ netip.AddrPort) {
	l.mu.Lock()
	switch {
	case l.closed:
	case len(frame) > dtlsRecord && l.name == "dtls":
		l.s.counters.drop(dropWriteFailed)
	case len(l.pending)+len(frame) > streamQueue:
		l.s.counters.drop(dropSlowClient)
	default:
		l.pending = append(l.pending, frame...)
		l.wake.Signal()
	}
	l.mu.Unlock()
}

// write moves queued frames to the connection until that is closed or fails.
func (l *streamLink) write() {
	var out []byte
	for {
		l.mu.Lock()
		for len(l.pending) == 0 && !l.closed {
			l.wake.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		out, l.pending = l.pending, out[:0]
		l.mu.Unlock()

		if l.writeFrames(out) != nil {
			return
		}
		if cap(out) > 2*wire.StrangerFrame {
			out = nil // a burst's buffer is not kept for the connection's life
		}
	}
}

// writeFrames writes whole frames: on TCP all at once, on DTLS a record each, and on TLS too, since
// there are clients that take a record for a frame (coturn's turnutils_uclient).
func (l *streamLink) writeFrames(frames []byte) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.s.streams.write)); err != nil {
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

// over reports whether the stream has ended.
func (l *streamLink) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// close ends the connection; the reader, whose read fails, then cleans up.
func (l *streamLink) close() {
	l.mu.Lock()
	l.closed = true
	l.wake.Signal()
	l.mu.Unlock()
	l.conn.Close()
}

// sleep holds up what reads, and tells whether the connection is still open after that.
func (l *streamLink) sleep(d time.Duration) bool {
	time.Sleep(d)
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed
}

// ServeConn serves one TURN client on a connection and returns when that is over; its allocation
// ends with it. It owns conn. transport is "tcp", "tls" or "dtls".
func (s *Server) ServeConn(conn net.Conn, transport string) {
	l := &streamLink{conn: conn, name: transport, s: s, addr: wire.AddrPort(conn.LocalAddr()),
		peer: wire.AddrPort(conn.RemoteAddr())}
	l.wake.L = &l.mu
	if !s.streams.add(l) {
		conn.Close()
		return
	}
	defer s.streams.remove(l)

	done := make(chan struct{})
	go func() {
		defer close(done)
		defer l.close()
		defer s.recovered("panic in a stream's writer")
		l.write()
	}()
	l.readAll()
	l.close()
	<-done
	s.books.streamOver(l)
}

// readAll reads until the connection ends.
func (l *streamLink) readAll() {
	defer l.s.recovered("panic in a stream's reader")
	if l.stream() {
		l.read()
	} else {
		l.readRecords()
	}
}

// read cuts the stream into frames (RFC 8656 §12.5, RFC 8489 §6.2.2) until the connection ends,
// breaks the framing, or stalls.
func (l *streamLink) read() {
	in := &inlet{link: l}
	buf, start, end := compact(nil, 0, 0, 0) // buf[start:end] is unread
	deadline := time.Now().Add(l.s.streams.firstFrame)
	known := false // it has, or had, an allocation
	for {
		need := 4
		for {
			known = known || l.a.Load() != nil
			size, padded, ok := wire.FrameSize(buf[start:end], known)
			if !ok {
				l.s.counters.drop(dropMalformed)
				return
			}
			if size == 0 || padded > end-start {
				need = max(need, padded)
				break
			}
			l.s.receive(in, wire.Packet{Buf: buf, Off: start, N: size}, l.peer)
			start += padded
			deadline = time.Now().Add(l.s.streams.idle)
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
			if a := l.a.Load(); a != nil && a.live(l.s.clock.now()) && errors.Is(err, os.ErrDeadlineExceeded) {
				deadline = time.Now().Add(l.s.streams.idle) // the allocation's lifetime decides
				continue
			}
			return
		}
	}
}

// compact moves the unread bytes to the front, in a larger buffer if a frame of need bytes would
// not fit, and back in a small one when a large one is empty.
func compact(buf []byte, start, end, need int) ([]byte, int, int) {
	want := wire.Headroom + max(need, wire.StrangerFrame) + wire.Tailroom
	next := buf
	if len(buf) < want || (start == end && len(buf) > want) {
		next = make([]byte, want)
	}
	n := copy(next[wire.Headroom:], buf[start:end])
	return next, wire.Headroom, wire.Headroom + n
}

// timeouts of streams: firstFrame ends those that never say anything sensible, idle those that stop
// to and hold no allocation, write those that take nothing. For patience a stranger waits for its
// turn.
type timeouts struct{ firstFrame, idle, write, patience time.Duration }

// streams are the connections being served, counted in all and by source.
type streams struct {
	limit, perSource int // 0: none
	timeouts
	mu       sync.Mutex
	all      map[*streamLink]struct{}
	bySource map[netip.Prefix]int
	closed   bool
}

func (t *streams) add(l *streamLink) bool {
	src := sourceOf(l.peer.Addr())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.limit > 0 && len(t.all) >= t.limit || t.perSource > 0 && t.bySource[src] >= t.perSource {
		return false
	}
	t.all[l] = struct{}{}
	t.bySource[src]++
	return true
}

func (t *streams) remove(l *streamLink) {
	src := sourceOf(l.peer.Addr())
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, l)
	if t.bySource[src]--; t.bySource[src] == 0 {
		delete(t.bySource, src)
	}
}

// closeAll ends every stream and admits no more.
func (t *streams) closeAll() {
	t.mu.Lock()
	t.closed = true
	all := make([]*streamLink, 0, len(t.all))
	for l := range t.all {
		all = append(all, l)
	}
	t.mu.Unlock()
	for _, l := range all {
		l.close()
	}
}
