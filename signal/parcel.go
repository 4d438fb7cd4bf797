package signal

import (
	"sync"
	"sync/atomic"
)

// parcel is an entry of outboxes: an event yet to be encoded, or frames that a dialect made itself.
// The writers of the receivers' connections encode, so encoding is done under no lock that decides
// an order, and at the receiver's expense.
type parcel struct {
	event  Event
	frames []Frame // instead of an event
	size   int     // bytes that a client gets, about
	many   bool    // several sessions get it
	lent   *Lent   // what frames, event and encodings share; nil: none
	spare  int     // bytes of that which the message doesn't fill

	// For an event to many receivers: its encodings, the latest first. It grows under mu.
	encoded atomic.Pointer[encoded]
	mu      sync.Mutex
}

// encoded is an event's frames in one encoding. Whoever comes first makes them; who needs the same
// ones waits for that, and nobody else does.
type encoded struct {
	encoding any
	next     *encoded

	mu     sync.Mutex
	frames []Frame // nil: not made yet; guarded by mu
}

// parcelMemory is about what a parcel takes besides its bytes: itself, its event's struct, its
// place in a queue, and what is kept of its encodings.
const parcelMemory = 384

// memory is about what the parcel takes, in bytes. One for many is kept as an event and encoded.
func (p *parcel) memory() int {
	if p.many {
		return parcelMemory + 2*p.size + p.spare
	}
	return parcelMemory + p.size
}

// one is a parcel for one session.
func one(e Event) *parcel { return &parcel{event: e, size: e.size()} }

// shared is a parcel for many.
func shared(e Event) *parcel { return &parcel{event: e, size: e.size(), many: true} }

// sharedAs is shared for an event of which one encoding is there already, perhaps in memory that is
// lent.
func sharedAs(e Event, encoding any, frames []Frame, lent *Lent) *parcel {
	all := &struct { // one allocation for each message
		parcel
		encoded
		space [1]Frame
	}{
		parcel:  parcel{event: e, size: e.size(), many: true, lent: lent},
		encoded: encoded{encoding: encoding},
	}
	if lent != nil {
		all.spare = cap(lent.Bytes) - len(lent.Bytes)
	}
	all.encoded.frames = append(all.space[:0], frames...)
	all.parcel.encoded.Store(&all.encoded)
	return &all.parcel
}

// ready is a parcel of frames that are encoded already; nil if there are none.
func ready(frames []Frame) *parcel {
	if len(frames) == 0 {
		return nil
	}
	p := &parcel{frames: frames}
	for _, f := range frames {
		p.size += len(f.Body)
	}
	return p
}

// voice is a session's dialect as an encoder: one event at a time, whichever connection's writer
// encodes it.
type voice struct {
	dialect encoder
	number  func(dst, body []byte, seq uint64) []byte // see Terms

	mu sync.Mutex
}

// encoder is half of a Dialect, which see.
type encoder interface {
	Encode(dst []Frame, e Event) []Frame
	Encoding(e Event) any
}

// encode makes a parcel's frames, in scratch if they are for this session alone.
func (v *voice) encode(p *parcel, scratch *[]Frame) []Frame {
	if p.event == nil {
		return p.frames
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	encoding := v.dialect.Encoding(p.event)
	if !p.many || encoding == nil {
		p.lent.use() // for good: it isn't known what becomes of the event
		*scratch = v.dialect.Encode((*scratch)[:0], p.event)
		return *scratch
	}
	e := p.in(encoding)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.frames == nil {
		p.lent.use() // as above
		e.frames = v.dialect.Encode([]Frame{}, p.event)
	}
	return e.frames
}

// in is the event's place for one encoding.
func (p *parcel) in(encoding any) *encoded {
	find := func() *encoded {
		for e := p.encoded.Load(); e != nil; e = e.next {
			if e.encoding == encoding {
				return e
			}
		}
		return nil
	}
	if e := find(); e != nil {
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := find(); e != nil { // another session's writer was quicker
		return e
	}
	e := &encoded{encoding: encoding, next: p.encoded.Load()}
	p.encoded.Store(e)
	return e
}
