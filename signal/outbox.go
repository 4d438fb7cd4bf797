package signal

import (
	"sync"
	"time"
)

// item is a parcel and its place in the session's order; seq 0 has none.
type item struct {
	seq uint64
	*parcel
	by sender // whose share it takes while it waits
}

// outbox holds what a session has to tell its client: in order, numbered, bounded in count and
// bytes. Putting never blocks, so it may be done under the locks that decide an order. One
// connection at a time takes, through its feed.
//
// If the session can be resumed, a numbered frame stays after it was taken, until the client
// confirms it. The next connection takes again what a broken one has lost. The limits for waiting
// frames also hold for unconfirmed ones; at the limit nothing is taken until the client confirms.
type outbox struct {
	// set by newOutbox
	voice               *voice // encodes what is taken
	maxFrames, maxBytes int    // of what waits, and again of what is unconfirmed
	keeps               bool   // whether taken frames stay
	store               *store // that all outboxes share

	mu           sync.Mutex
	queue        []item // taken ones, which are all numbered, then those that wait
	taken        int    // of the queue
	takenBytes   int
	waitingBytes int
	// The first frames that wait because a broken connection did not deliver them: they do not
	// count as slowness.
	owed      int
	owedBytes int
	held      int    // what all that takes in memory
	stored    int    // what the store knows of
	seq       uint64 // of the last numbered frame
	takenSeq  uint64 // of the last one that was taken
	// The connection may still be writing what was taken after the frame writtenSeq. flying is what
	// that takes in memory that is not in the queue: held includes it.
	writtenSeq uint64
	flying     int
	shares     shares // of what waits, but what is owed
	// When the queue was empty, or something was taken, or a connection began. While more waits
	// than that has moved, it is not read.
	moved  time.Time
	feed   *feed // nil: no connection
	closed bool
	reason Code // set when closed; "" = nothing to tell the client
}

func newOutbox(v *voice, maxFrames, maxBytes int, keeps bool, shared *store) *outbox {
	return &outbox{voice: v, maxFrames: maxFrames, maxBytes: maxBytes, keeps: keeps, store: shared}
}

// unlock ends what has changed the queue.
func (o *outbox) unlock() {
	if o.held != o.stored {
		o.store.add(o.held - o.stored)
		o.stored = o.held
	}
	o.mu.Unlock()
}

// retract takes the news of somebody's coming back if the client is away, or far behind, and
// reports whether it did: then the client need not hear that it is gone, either, and others who
// come and go meanwhile cost it nothing. News that may have left on some connection stays, as its
// number does, and so does news of somebody who has said something since, or of whom the client is
// told in another way, too.
func (o *outbox) retract(news *parcel, of *Session) bool {
	o.mu.Lock()
	defer o.unlock()
	if n, bytes := o.waiting(); o.feed != nil && n < o.maxFrames/4 && bytes < o.maxBytes/4 {
		return false // it will be told in a moment
	}
	i := len(o.queue) - 1
	for ; i >= o.taken+o.owed && o.queue[i].parcel != news; i-- {
		if _, lists := o.queue[i].event.(Joined); lists || o.queue[i].by.session == of {
			return false
		}
	}
	if i < o.taken+o.owed {
		return false
	}
	o.waitingBytes -= news.size
	o.held -= news.memory()
	o.drop(i, i+1)
	for ; i < len(o.queue); i++ { // what comes behind moves up: nobody knows its numbers yet
		if o.queue[i].seq != 0 {
			o.queue[i].seq--
		}
	}
	o.seq--
	return true
}

// verdict is what became of a frame.
type verdict int

const (
	queued verdict = iota
	// crowded: it was queued, but more waits than a client that reads would let wait.
	crowded
	// overflown: it was not queued, since twice as much waits.
	overflown
	// unpaid: it was not queued, since there is no room left for its sender.
	unpaid
	// late: the outbox is closed.
	late
)

// put queues a parcel. It takes a single one whatever its size: the limits bound what waits behind
// it.
func (o *outbox) put(p *parcel, numbered bool, by sender) verdict {
	o.mu.Lock()
	defer o.unlock()
	return o.putLocked(p, numbered, by)
}

// offer is put for a parcel that its sender keeps, or drops, if there is no room for it.
func (o *outbox) offer(p *parcel, numbered bool, by sender) verdict {
	o.mu.Lock()
	defer o.unlock()
	if !o.closed && !o.hasRoom(p, by) {
		return unpaid
	}
	return o.putLocked(p, numbered, by)
}

// putLocked is put with mu held.
func (o *outbox) putLocked(p *parcel, numbered bool, by sender) verdict {
	if o.closed {
		return late
	}
	if o.store.tight(o.takenBytes + o.waitingBytes) {
		o.forget(o.writtenSeq) // memory comes before the chance to resume
	}
	waiting, bytes := o.waiting()
	if waiting > 0 && (waiting >= 2*o.maxFrames || bytes+p.size > 2*o.maxBytes) ||
		by.session != nil && o.store.crowded(o.waitingBytes-o.shares.strangers.bytes) {
		return overflown
	}
	it := item{parcel: p, by: by}
	if numbered {
		o.seq++
		it.seq = o.seq
	}
	o.shares.add(by, p.size)
	o.append(it)
	if waiting > 0 && (waiting >= o.maxFrames || bytes+p.size > o.maxBytes) {
		return crowded
	}
	return queued
}

// waiting is how much waits, but what is owed. mu is held.
func (o *outbox) waiting() (frames, bytes int) {
	return len(o.queue) - o.taken - o.owed, o.waitingBytes - o.owedBytes
}

// hasRoom reports whether a sender may put a parcel. mu is held.
func (o *outbox) hasRoom(p *parcel, by sender) bool {
	waiting, bytes := o.waiting()
	return (waiting == 0 || waiting < o.maxFrames && bytes+p.size <= o.maxBytes) &&
		o.shares.have(by, p.size, o.maxFrames, o.maxBytes) && !o.store.crowded(o.waitingBytes)
}

// reading is what an outbox knows of its client.
type reading int

const (
	reads  reading = iota // there is room for more
	behind                // there is none for that sender, or for nobody
	stuck                 // and the client has taken nothing for long
)

// expect says whether a sender may put a parcel soon. A client that isn't connected, or is over,
// is in nobody's way.
func (o *outbox) expect(p *parcel, by sender, patience time.Duration) reading {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed, o.feed == nil, o.hasRoom(p, by):
		return reads
	case time.Since(o.moved) > patience:
		return stuck
	}
	return behind
}

func (o *outbox) append(it item) {
	if o.taken == len(o.queue) {
		o.moved = time.Now()
	}
	o.queue = append(o.queue, it)
	o.waitingBytes += it.size
	o.held += it.memory()
	if o.feed != nil {
		o.feed.wake()
	}
}

// take is feed.take for this outbox.
func (o *outbox) take(f *feed, emptied []item) (batch []item, over bool) {
	o.mu.Lock()
	defer o.unlock()
	batch = emptied[:0]
	if o.feed != f {
		f.code = f.why
		if f.last != nil {
			batch = append(batch, item{parcel: f.last})
		}
		return batch, true
	}
	o.land()
	next, kept := o.taken, o.taken
	for ; next < len(o.queue) && (o.closed || !o.full()); next++ {
		it := o.queue[next]
		batch = append(batch, it)
		o.waitingBytes -= it.size
		if o.owed > 0 {
			o.owed, o.owedBytes = o.owed-1, o.owedBytes-it.size
		}
		o.shares.giveBack(it.by, it.size)
		it.by = sender{}
		if it.seq != 0 {
			o.takenSeq = it.seq
		}
		if it.seq == 0 || !o.keeps {
			o.flying += it.memory()
			continue
		}
		o.queue[kept] = it
		kept++
		o.taken, o.takenBytes = kept, o.takenBytes+it.size
	}
	if len(batch) > 0 {
		o.moved = time.Now()
	}
	o.drop(kept, next)
	o.taken = kept
	f.code = o.reason
	return batch, o.closed
}

// written notes that the feed's connection has written what it has taken.
func (o *outbox) written(f *feed) {
	o.mu.Lock()
	defer o.unlock()
	if o.feed == f {
		o.land()
	}
}

// land is written with mu held.
func (o *outbox) land() {
	o.held -= o.flying
	o.flying, o.writtenSeq = 0, o.takenSeq
}

// full reports whether as much is unconfirmed as may be. mu is held.
func (o *outbox) full() bool { return o.taken >= o.maxFrames || o.takenBytes >= o.maxBytes }

// drop removes queue[from:to]. mu is held.
func (o *outbox) drop(from, to int) {
	if from == to {
		return
	}
	rest := from + copy(o.queue[from:], o.queue[to:])
	clear(o.queue[rest:])
	o.queue = o.queue[:rest]
	if rest == 0 && cap(o.queue) > 64 {
		o.queue = nil // after a burst an idle session is small again
	}
}

// confirm forgets the taken frames up to seq: the client has them.
func (o *outbox) confirm(seq uint64) {
	o.mu.Lock()
	defer o.unlock()
	o.forget(seq)
}

// shed forgets the frames that were written, so that the session can't be resumed from before them,
// and returns how many bytes of memory they took.
func (o *outbox) shed() (freed int) {
	o.mu.Lock()
	defer o.unlock()
	before := o.held
	o.forget(o.writtenSeq)
	return before - o.held
}

// forget is confirm with mu held.
func (o *outbox) forget(seq uint64) {
	if o.full() && o.feed != nil {
		o.feed.wake()
	}
	n := 0
	for ; n < o.taken && o.queue[n].seq <= seq; n++ {
		o.takenBytes -= o.queue[n].size
		o.held -= o.queue[n].memory()
	}
	o.drop(0, n)
	o.taken -= n
}

// progress returns the last frame that was taken, and whether the client should confirm now.
func (o *outbox) progress() (takenSeq uint64, urgent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.takenSeq, 2*o.taken > o.maxFrames || 2*o.takenBytes > min(o.maxBytes, o.store.share)
}

// clear drops all. mu is held.
func (o *outbox) clear() {
	o.queue, o.taken, o.takenBytes, o.waitingBytes, o.owed, o.owedBytes = nil, 0, 0, 0, 0, 0
	o.held, o.flying, o.shares = 0, 0, shares{}
}

// holds is what the outbox takes in memory, in bytes.
func (o *outbox) holds() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held
}

// senders is how many bytes wait of each sender.
func (o *outbox) senders() map[*Session]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.shares.all()
}
