package signal

import (
	"slices"
	"time"
)

// Which connection takes from an outbox, what the next one finds there, and how it ends.

// attach lets f take from the outbox. It fails if the outbox is closed. The connection that took
// before is told that it was replaced.
func (o *outbox) attach(f *feed, replaced *parcel) bool {
	o.mu.Lock()
	defer o.unlock()
	if o.closed {
		return false
	}
	o.hold(f, replaced)
	return true
}

// resume is attach for a client that says what it has: the client first gets the greeting, then
// everything after the event seq. It fails if that event is no longer here or never was, and if the
// outbox is closed.
func (o *outbox) resume(f *feed, seq uint64, greeting, replaced *parcel) bool {
	o.mu.Lock()
	defer o.unlock()
	if o.closed || seq > o.seq || seq < o.oldest()-1 {
		return false
	}
	// Unnumbered parcels go, too: a client asks again for answers that it missed.
	o.queue = slices.DeleteFunc(o.queue, func(it item) bool { return it.seq <= seq })
	o.queue = slices.Insert(o.queue, 0, item{parcel: greeting})
	o.takenSeq = seq
	o.hold(f, replaced)
	return true
}

// hold is the common part of resume and attach. mu is held.
func (o *outbox) hold(f *feed, replaced *parcel) {
	if o.feed != nil {
		o.expel(CodeReplaced, replaced)
	}
	o.taken, o.takenBytes, o.waitingBytes, o.held, o.flying = 0, 0, 0, 0, 0
	o.writtenSeq = o.takenSeq
	for i, it := range o.queue {
		o.waitingBytes += it.size
		o.held += it.memory()
		o.queue[i].by = sender{}
	}
	o.shares, o.moved = shares{}, time.Now()
	o.owed, o.owedBytes = len(o.queue), o.waitingBytes
	o.feed = f
	f.box.Store(o)
	f.wake()
}

// oldest is the first numbered frame that is still here, or the next one to come. mu is held.
func (o *outbox) oldest() uint64 {
	for _, it := range o.queue {
		if it.seq != 0 {
			return it.seq
		}
	}
	return o.seq + 1
}

// attached reports whether there is a connection.
func (o *outbox) attached() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.feed != nil
}

// detach ends a feed's hold without a last word. It fails if the outbox is closed: then the feed
// has one to write.
func (o *outbox) detach(f *feed) bool {
	o.mu.Lock()
	defer o.unlock()
	if o.closed {
		return false
	}
	if o.feed == f {
		o.land()
		o.feed = nil
		f.wake()
	}
	return true
}

// abandon is the end of a connection that may have left something of a closed outbox behind.
func (o *outbox) abandon(f *feed) {
	o.mu.Lock()
	defer o.unlock()
	if o.closed && o.feed == f {
		o.clear()
	}
}

// revoke ends a connection with its own last word, and reports whether it was the one that takes; a
// nil f means that one. Waiting parcels go on waiting.
func (o *outbox) revoke(f *feed, code Code, last *parcel) bool {
	o.mu.Lock()
	defer o.unlock()
	if o.feed == nil || o.closed || f != nil && f != o.feed {
		return false
	}
	o.expel(code, last)
	return true
}

// expel is revoke with mu held.
func (o *outbox) expel(code Code, last *parcel) {
	f := o.feed
	o.land()
	o.feed = nil
	f.why, f.last = code, last
	f.wake()
	f.stop()
}

// close accepts nothing more. The first reason stays; it reports whether this was the first, and
// whether a connection will see it. Waiting parcels are still taken, and then last, if not nil. A
// slow client has shown that it won't read what waits, so that is dropped.
func (o *outbox) close(reason Code, last *parcel) (first, attached bool) {
	o.mu.Lock()
	defer o.unlock()
	attached = o.feed != nil
	if o.closed {
		return false, attached
	}
	if reason == CodeSlow || reason == "" || !attached {
		o.clear()
	}
	o.closed, o.reason = true, reason
	if !attached {
		return true, false
	}
	if last != nil {
		o.append(item{parcel: last})
	}
	o.feed.wake()
	o.feed.stop()
	return true, true
}

// end is the reason for which the outbox was closed, once it is.
func (o *outbox) end() (reason Code, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reason, o.closed
}

// release returns what waits for a feed that will be attached elsewhere.
func (o *outbox) release() (waiting []item) {
	o.mu.Lock()
	defer o.unlock()
	waiting = slices.Clone(o.queue[o.taken:])
	o.clear()
	o.feed, o.closed = nil, true
	return waiting
}

// takeWaiting takes what waits while there is no connection.
func (o *outbox) takeWaiting() (waiting []item) {
	o.mu.Lock()
	defer o.unlock()
	if o.feed != nil || o.closed {
		return nil
	}
	waiting = slices.Clone(o.queue[o.taken:])
	o.clear()
	return waiting
}
