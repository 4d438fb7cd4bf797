package signal

import (
	"sync"
	"sync/atomic"
)

// parcel is what waits in outboxes: an event that is yet to be encoded, or frames of a dialect's
// own making. Encoding is left to the writers of the receivers' connections, so it is done under no
// lock that decides an order, and at the receiver's expense.
type parcel struct {
	event  Event
	frames []Frame // instead of an event
	size   int     // bytes, about
	many   bool    // several sessions get it

	// For an event that goes to many: what it was encoded to, the latest first. It grows under mu.
	encoded atomic.Pointer[encoded]
	mu      sync.Mutex
}

// encoded is an event's frames in one encoding.
type encoded struct {
	encoding any
	frames   []Frame
	next     *encoded
}

// one is a parcel for one session.
func one(e Event) *parcel { return &parcel{event: e, size: e.size()} }

// shared is a parcel for many.
func shared(e Event) *parcel { return &parcel{event: e, size: e.size(), many: true} }

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

// voice is a session's dialect where it encodes: one event at a time, whichever connection's writer
// does it.
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
		*scratch = v.dialect.Encode((*scratch)[:0], p.event)
		return *scratch
	}
	if frames, ok := p.in(encoding); ok {
		return frames
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if frames, ok := p.in(encoding); ok { // another session's writer was quicker
		return frames
	}
	frames := v.dialect.Encode(nil, p.event)
	p.encoded.Store(&encoded{encoding: encoding, frames: frames, next: p.encoded.Load()})
	return frames
}

// in finds what the event was encoded to.
func (p *parcel) in(encoding any) ([]Frame, bool) {
	for e := p.encoded.Load(); e != nil; e = e.next {
		if e.encoding == encoding {
			return e.frames, true
		}
	}
	return nil, false
}
