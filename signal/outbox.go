package signal

import (
	"errors"
	"sync"
)

var (
	errOutboxClosed = errors.New("outbox closed")
	errOutboxFull   = errors.New("outbox full")
)

// outFrame is an encoded message and its place in the session's order; seq 0 has none.
type outFrame struct {
	seq  uint64
	body []byte // shared with other sessions: never changed
}

// outbox is what a session has to say to its client: in order, numbered, bounded in count and bytes. Putting never
// blocks, so it is done under the locks that decide an order. One goroutine, the transport's writer, takes.
//
// What the transport has taken and not yet written is bounded by the same limits once more.
type outbox struct {
	maxFrames, maxBytes int           // set by newOutbox
	ready               chan struct{} // capacity 1: there is something to take, or the end to see

	mu     sync.Mutex
	queue  []outFrame
	bytes  int
	seq    uint64
	closed bool
	reason Code // set when closed; "" = nothing to tell the client
}

func newOutbox(maxFrames, maxBytes int) *outbox {
	return &outbox{maxFrames: maxFrames, maxBytes: maxBytes, ready: make(chan struct{}, 1)}
}

// put queues an encoded message. A single one is taken whatever its size: the limits bound what waits behind it.
func (o *outbox) put(body []byte, sequenced bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return errOutboxClosed
	}
	if len(o.queue) > 0 && (len(o.queue) >= o.maxFrames || o.bytes+len(body) > o.maxBytes) {
		return errOutboxFull
	}
	frame := outFrame{body: body}
	if sequenced {
		o.seq++
		frame.seq = o.seq
	}
	o.append(frame)
	return nil
}

// close lets nothing more in. The first reason stays; it reports whether this was the first. What waits is still taken,
// and last after it, if not nil; a slow client has shown that it won't read what waits, so that is dropped.
func (o *outbox) close(reason Code, last []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	if reason == CodeSlow || reason == "" {
		o.queue, o.bytes = nil, 0
	}
	o.closed, o.reason = true, reason
	if last != nil {
		o.append(outFrame{body: last})
	}
	o.wake()
	return true
}

func (o *outbox) append(frame outFrame) {
	o.queue = append(o.queue, frame)
	o.bytes += len(frame.body)
	o.wake()
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// take hands over all that waits, in exchange for the emptied slice of the last time, and tells whether that was the end.
func (o *outbox) take(emptied []outFrame) (batch []outFrame, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch = o.queue
	o.queue, o.bytes = emptied[:0], 0
	return batch, o.closed
}

// end is the reason for which the outbox was closed, once it is.
func (o *outbox) end() (reason Code, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reason, o.closed
}
