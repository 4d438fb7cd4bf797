package bench

import (
	"sync/atomic"
	"time"
)

// meter counts what arrives of one direction.
type meter struct {
	sent     atomic.Int64 // in the window
	received atomic.Int64 // of those
	arrived  atomic.Int64 // in all, before and after the window, too
	latency  histogram    // of those received
}

// run is what senders and receivers share.
type run struct {
	id         uint32
	size       int // of a payload
	base       time.Time
	start, end int64    // the window: what is sent then counts
	meters     [3]meter // by direction; the last one is that of the control
	stopped    atomic.Bool
	strange    atomic.Int64 // datagrams that are not of this run
}

// control is the meter of packets that go from us to us, past the server.
const control = 2

// now is the time on the run's clock, in nanoseconds.
func (r *run) now() int64 { return int64(time.Since(r.base)) }

// count counts a payload that arrived.
func (r *run) count(payload []byte, now int64) {
	if len(payload) != r.size {
		r.strange.Add(1)
		return
	}
	s := stampOf(payload)
	if s.run != r.id || s.way >= uint32(len(r.meters)) {
		r.strange.Add(1)
		return
	}
	m := &r.meters[s.way]
	m.arrived.Add(1)
	if s.sent >= r.start && s.sent < r.end {
		m.received.Add(1)
		m.latency.add(now - s.sent)
	}
}

// arrived is how many packets have come so far, in all directions.
func (r *run) arrived() (n int64) {
	for i := range r.meters {
		n += r.meters[i].arrived.Load()
	}
	return n
}

// missing reports whether something of the window has not come so far.
func (r *run) missing() bool {
	for i := range r.meters {
		if m := &r.meters[i]; m.received.Load() < m.sent.Load() {
			return true
		}
	}
	return false
}
