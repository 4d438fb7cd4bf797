package signal

import (
	"errors"
	"time"
)

// A Carrier is a connection that carries the frames of one link. It passes the frames that it reads
// to Link.Receive, and Link.Pump gives it the frames to write.
type Carrier interface {
	// Write passes a batch to the network by its deadline, and returns when it wants to be called
	// again even if there is nothing to write. An error ends Pump; a timeout means a client that
	// reads too slowly, ErrEnough is none.
	Write(b *Batch) (again time.Duration, err error)
	// Stop wakes the reader because the connection is over; Pump still writes what remains. It is
	// called under locks, perhaps more than once, and must not block.
	Stop()
	// Abort cuts the connection without another word. It must not block.
	Abort()
}

// ErrEnough is what Write returns if it has written the batch and wants Pump to end: its connection
// carries an answer at a time. Pump is to be called again for the next one.
var ErrEnough = errors.New("written, and enough for now")

// Batch is what a carrier writes in one go.
type Batch struct {
	Now, Deadline time.Time
	Over          bool   // nothing follows: the carrier closes the connection behind it
	Code          Code   // why, when Over
	Written       uint64 // the session's last event that the client has been sent, with this batch
	Urgent        bool   // the client should confirm soon

	from   *outbox
	items  []item
	bufs   *[]byte
	frames []Frame // scratch
	count  uint64  // of frames
	bytes  uint64  // of theirs
}

// OutFrame is a frame as it leaves.
type OutFrame struct {
	Frame
	Seq  uint64 // of its event in the session's order; 0: none
	Many bool   // it goes to other sessions, too
}

// Frames yields the frames of the batch in order. A frame is valid until the next one.
func (b *Batch) Frames(yield func(OutFrame) bool) {
	v := b.from.voice
	for _, it := range b.items {
		for _, f := range v.encode(it.parcel, &b.frames) {
			if it.seq != 0 && v.number != nil {
				*b.bufs = v.number((*b.bufs)[:0], f.Body, it.seq)
				f.Body = *b.bufs
			}
			b.count++
			b.bytes += uint64(len(f.Body))
			if !yield(OutFrame{Frame: f, Seq: it.seq, Many: it.many}) {
				return
			}
		}
	}
}

// done gives up what is in the batch: it is written, and not to be sent again.
func (b *Batch) done() {
	if b.from.keeps {
		return
	}
	for _, it := range b.items {
		it.lent.done()
	}
}

// empty makes the batch ready to be filled again. After a burst it gets a small buffer again, to
// keep idle sessions small.
func (b *Batch) empty() {
	clear(b.items)
	clear(b.frames)
	b.items, b.bufs, b.from = b.items[:0], nil, nil
	if cap(b.items) > 64 {
		b.items = nil
	}
	if cap(b.frames) > 64 {
		b.frames = nil
	}
}
