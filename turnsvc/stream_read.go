package turnsvc

import (
	"errors"
	"os"
	"time"

	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/wire"
)

const (
	// clientUnread and strangerUnread are what the kernel may hold of what a client has sent and is
	// not yet read, in bytes with its bookkeeping: some 7 Mbit/s at 100 ms for one with an
	// allocation.
	clientUnread, strangerUnread = 128 << 10, 16 << 10
	// patienceToRead is for a client to read the answers that it has asked for; callPatience for
	// one with an allocation, whose network may pause in the middle of a call.
	patienceToRead, callPatience = 200 * time.Millisecond, 5 * time.Second
	// streamBuffer is the size of the read buffer that a stream starts with. A longer frame of a
	// client with an allocation makes it grow to that frame's size; a stranger's frames must fit.
	streamBuffer = wire.StrangerFrame
)

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

// receive has a frame looked at, and reports whether the stream goes on; see isOver.
func (l *streamLink) receive(in *inlet, p wire.Packet, last time.Time) bool {
	if l.isOver(last) || !l.keepsUp() {
		return false
	}
	l.streams.front.receive(in, p, l.peer)
	return true
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
		// Few wait here: for them the writer need not tell of each time that it takes.
		time.Sleep(2 * time.Millisecond)
	}
	return true
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
