package turnsvc

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/nonblock"
	"signalbox/internal/source"
	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

const (
	// clientRoom and strangerRoom are what the kernel may hold for a client with an allocation, and
	// for one without, in bytes with its bookkeeping; unsentRoom is what of that is not yet on its
	// way when more is written.
	clientRoom, strangerRoom, unsentRoom = 112 << 10, 8 << 10, 4 << 10
	// clientUnread and strangerUnread are what the kernel may hold of what a client has sent and is
	// not yet read, likewise: some 7 Mbit/s at 100 ms for one with an allocation.
	clientUnread, strangerUnread = 128 << 10, 16 << 10
	// patienceToRead is for a client to read the answers that it has asked for; callPatience for
	// one with an allocation, whose network may pause in the middle of a call.
	patienceToRead, callPatience = 200 * time.Millisecond, 5 * time.Second
	// streamBuffer is the size of the read buffer that a stream starts with. A longer frame of a
	// client with an allocation makes it grow to that frame's size; a stranger's frames must fit.
	streamBuffer = wire.StrangerFrame
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
		t.books.end(a, endStream) // a request that is still queued may make another: the books look whether l is closed
	}
}

// add enters a stream. When there are as many as there may be, one without an allocation makes
// room: an honest client has one within a second.
func (t *streams) add(l *streamLink) (ok bool) {
	gone, full := t.enter(l)
	for _, old := range gone {
		t.counters.drop(dropCrowdedOut)
		old.close()
	}
	if full && l.leave == nil {
		t.counters.drop(dropCrowd)
	}
	if full {
		t.tellOfCrowd()
	}
	return l.leave != nil
}

// enter enters l if there is room. full: there was none without those who are gone, one as a rule,
// more when the limit has been lowered. If a block of addresses in which l counts has too many,
// they are of that; else each is of the line that has most guests, so nobody pushes another one's
// clients out by having many.
func (t *streams) enter(l *streamLink) (gone []*streamLink, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return nil, false
	}
	ip := l.peer.Addr()
	for t.crowd.Full(ip) {
		full = true
		old := t.guests.most()
		if block, crowded := t.crowd.Crowded(ip); crowded {
			old = t.guests.from(block)
		}
		if old == nil {
			break
		}
		t.removeLocked(old)
		gone = append(gone, old)
	}
	if leave, ok := t.crowd.Enter(ip); ok {
		l.leave = leave
		t.all[l] = struct{}{}
		t.seat(l)
	}
	return gone, full
}

// seat puts l, which is entered, among the guests or takes it from them. mu is held.
func (t *streams) seat(l *streamLink) {
	t.guests.remove(l.guest)
	l.guest = guestPlace{}
	if l.a.Load() == nil && !l.left {
		l.guest = t.guests.add(l, l.proving)
	}
}

// tellOfCrowd logs that there are too many, now and then.
func (t *streams) tellOfCrowd() {
	const interval = time.Minute
	now := t.clock.now()
	if next := t.told.Load(); now >= next && t.told.CompareAndSwap(next, now+int64(interval)) {
		open, _ := t.crowd.Counts()
		t.log.Warn("too many TURN connections: some without an allocation are ended for new ones",
			"open", open, "ended", t.counters.drops[dropCrowdedOut].Load(),
			"refused", t.counters.drops[dropCrowd].Load())
	}
}

func (t *streams) remove(l *streamLink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(l)
}

func (t *streams) removeLocked(l *streamLink) {
	if l.left {
		return
	}
	l.left = true
	l.leave()
	delete(t.all, l)
	t.seat(l)
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
	carrier net.Conn          // of the frames: conn, or TLS over it
	bottom  net.Conn          // what conn stands on, or conn
	sending socket.Sending    // of bottom
	gather  nonblock.Gatherer // of what TLS writes; nil: it is written as it comes
	// Owned by who writes: write, or straight.
	fit     fit
	bounded int // what the kernel may hold
	unasked int // bytes that were written since it was asked
	began   time.Time
	name    string         // of the transport
	addr    netip.AddrPort // local
	peer    netip.AddrPort
	streams *streams
	leave   func() // gives back its place in the crowd, once; nil: it has none
	// Guarded by streams.mu: it has left; it has answered a nonce; its place among the guests.
	left, proving bool
	guest         guestPlace
	toldProving   bool // owned by the reader
	a             atomic.Pointer[allocation]
	out           outbox
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

// data queues application data. A client that reads too slowly loses its own, the oldest first, and
// nobody waits for it.
func (l *streamLink) data(frame []byte, _ netip.AddrPort) bool {
	if len(frame) > dtls.MaxRecord && l.name == "dtls" {
		l.streams.counters.drop(dropWriteFailed)
		return false
	}
	if l.goesStraight(len(frame)) {
		l.straight(frame)
	} else {
		l.tooSlow(l.out.addMedia(frame))
	}
	return true
}

// run queues what a run brings at once; who writes joins the frames.
func (l *streamLink) run(run wire.Run, number uint16, _ netip.AddrPort, _ *socket.RunLimit) (
	packets, bytes int, ok bool,
) {
	if l.name == "dtls" || run.Bytes() > maxMedia/2 {
		return 0, 0, false // a record may be too long; and who writes may take some before all are there
	}
	if l.goesStraight(run.Bytes()) {
		frames := l.streams.runs.Get().(*[]byte)
		*frames = joined((*frames)[:0], run, number, l.padded())
		l.straight(*frames)
		l.streams.runs.Put(frames)
	} else {
		l.tooSlow(l.out.addRun(run, number, l.padded()))
	}
	return len(run), run.Bytes(), true
}

// answer queues an answer. One that is too many ends the stream.
func (l *streamLink) answer(frame []byte, _ netip.AddrPort) {
	if !l.out.addAnswer(frame, l.mostAnswers()) {
		l.streams.counters.drop(dropUnread)
		l.close()
	}
}

// mostAnswers is how many bytes of answers may wait for the client.
func (l *streamLink) mostAnswers() int {
	if l.a.Load() == nil {
		return strangerAsk
	}
	return maxAnswers
}

// keepsUp waits until the client has taken most of its answers, before the next frame is looked at,
// and reports whether it has: a client that asks on and on and reads no answers is shown out.
func (l *streamLink) keepsUp() bool {
	var until time.Time
	for l.out.unread() > l.mostAnswers()/2 {
		now := time.Now()
		if until.IsZero() {
			until = now.Add(patienceToRead)
			if l.a.Load() != nil {
				until = now.Add(callPatience)
			}
		}
		if l.out.over() {
			return false
		}
		if now.After(until) {
			l.streams.counters.drop(dropUnread)
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return true
}

func (l *streamLink) send(frame []byte, to netip.AddrPort) { l.answer(frame, to) }

func (l *streamLink) tooSlow(frames int) {
	if frames > 0 {
		l.streams.counters.drops[dropSlowClient].Add(uint64(frames))
	}
}

// write moves queued frames to the connection until that is closed or fails.
func (l *streamLink) write() {
	var buf []byte
	for {
		if !l.out.await() || l.carrier.SetWriteDeadline(deadlineIn(l.streams.timeouts.write)) != nil {
			return
		}
		l.bound()
		// What waits here can still be dropped, what the kernel has can't.
		if l.unasked >= unsentRoom {
			if l.sending.Wait() != nil {
				return
			}
			l.unasked = 0
		}
		frames, late, slow := l.out.take(buf)
		l.tooSlow(late)
		if l.writeFrames(frames) != nil {
			return
		}
		l.unasked += len(frames)
		l.fit.wrote(&l.sending, slow)
		if buf = frames; cap(buf) > 2*batch {
			buf = nil // a long frame's buffer is not kept for the connection's life
		}
	}
}

// bound sets what the kernel may hold of what is written next.
func (l *streamLink) bound() {
	if room := l.room(); room != l.bounded {
		l.sending.Bound(room)
		l.bounded = room
	}
}

// room is what the kernel may hold.
func (l *streamLink) room() int {
	if l.a.Load() == nil {
		return strangerRoom
	}
	return l.fit.room()
}

// writeFrames writes whole frames: on TCP all at once; on DTLS and TLS one per record, since some
// clients take a record for a frame (coturn's turnutils_uclient). The records of TLS leave at once.
func (l *streamLink) writeFrames(frames []byte) (err error) {
	if l.name == "tls" && l.gather != nil {
		l.gather.Gather()
		defer func() { err = errors.Join(err, l.gather.Flush()) }()
	}
	for len(frames) > 0 {
		size := len(frames)
		switch l.name {
		case "tls":
			_, size, _ = wire.FrameSize(frames, true)
		case "dtls":
			size, _, _ = wire.FrameSize(frames, true) // nothing is padded there
		}
		if _, err := l.carrier.Write(frames[:size]); err != nil {
			return err
		}
		frames = frames[size:]
	}
	return nil
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

// lastDeadline is when the client is shown out if it has no allocation by then: at last, unless it
// has one now, which may end before its next frame.
func (l *streamLink) lastDeadline(last time.Time) time.Time {
	if l.holds() {
		return deadlineIn(l.streams.stranger + l.streams.idle)
	}
	return last
}

// isOver reports whether nothing more is looked at of what a client without an allocation has sent:
// the stream has ended, or the client has had its time, while earlier requests had to wait for
// their turn. last is what lastDeadline has returned.
func (l *streamLink) isOver(last time.Time) bool {
	return !l.holds() && (l.closed() || time.Now().After(last))
}

// mayBeSilent reports whether the stream goes on after a read failed with err: if the client was
// only silent, its allocation's lifetime decides how long it may be so.
func (l *streamLink) mayBeSilent(err error) bool {
	return l.holds() && errors.Is(err, os.ErrDeadlineExceeded)
}

// receive has a frame looked at, and reports whether the stream goes on; see isOver.
func (l *streamLink) receive(in *inlet, p wire.Packet, last time.Time) bool {
	if l.isOver(last) || !l.keepsUp() {
		return false
	}
	l.streams.front.receive(in, p, l.peer)
	return true
}

// read cuts the stream into frames until the connection ends, breaks the framing, or stalls.
func (l *streamLink) read() {
	in := &inlet{link: l}
	buf, start, end := compact(nil, 0, 0, 0) // buf[start:end] is unread
	deadline := l.began.Add(l.streams.firstFrame)
	known := false                          // it has, or had, an allocation
	last := l.began.Add(l.streams.stranger) // for a client without an allocation
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
			if !l.receive(in, wire.Packet{Buf: buf, Off: start, N: size}, last) {
				return
			}
			start += padded
			deadline = deadlineIn(l.streams.idle)
		}
		if start+need+wire.Tailroom > len(buf) || start == end {
			buf, start, end = compact(buf, start, end, need)
		}
		if last = l.lastDeadline(last); last.Before(deadline) {
			deadline = last
		}
		if l.carrier.SetReadDeadline(deadline) != nil {
			return
		}
		n, err := l.carrier.Read(buf[end : len(buf)-wire.Tailroom])
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
	last := deadlineIn(l.streams.stranger) // for a client without an allocation
	for {
		deadline := deadlineIn(timeout)
		if last = l.lastDeadline(last); last.Before(deadline) {
			deadline = last
		}
		if l.conn.SetReadDeadline(deadline) != nil {
			return
		}
		n, err := l.conn.Read(buf[wire.Headroom : wire.Headroom+dtls.MaxDatagram])
		switch {
		case err == nil:
			if !l.receive(in, wire.Packet{Buf: buf, Off: wire.Headroom, N: n}, last) {
				return
			}
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
