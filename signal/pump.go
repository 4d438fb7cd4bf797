package signal

import (
	"errors"
	"math"
	"net"
	"time"
)

// never is longer than any wait.
const never = time.Duration(math.MaxInt64)

// Pump writes the session's frames, and fresh ICE servers, until the connection is over or fails,
// or gone is closed. It is the only writer of the connection.
func (l *Link) Pump(gone <-chan struct{}) { l.pump(gone, never) }

// PumpOnDemand is Pump in goroutines of its own: one at a time, while there is something to write
// and a moment longer, and none while the session is idle. It returns at once; the last of them
// calls over, when the connection is over or has failed.
func (l *Link) PumpOnDemand(over func()) {
	wake := time.AfterFunc(never, func() {
		if l.feed.call() {
			l.feed.write()
		}
	})
	l.feed.write = func() {
		for {
			next, ended := l.pump(nil, l.hub.limits.Awake)
			if ended {
				wake.Stop()
				over()
				return
			}
			wake.Reset(next)
			if l.feed.dismiss() {
				return
			}
		}
	}
	go l.feed.write()
}

// pump writes until the connection is over, or there were no frames to write for so long: then it
// is to be called again when the feed wakes, or at the latest after next.
func (l *Link) pump(gone <-chan struct{}, stay time.Duration) (next time.Duration, over bool) {
	defer func() {
		if p := recover(); p != nil { // of a dialect, or of the carrier
			l.Panicked(p)
			over = true
		}
	}()
	batch := l.hub.batches.Get().(*Batch)
	defer l.hub.batches.Put(batch)
	var busy time.Time // when there were frames last
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		select {
		case <-l.feed.ready: // what was put until now is taken now
		default:
		}
		now := time.Now()
		again, over := l.write(batch, now)
		if over {
			return 0, true
		}
		if batch.count > 0 {
			busy = now
		}
		if stay < again && now.Sub(busy) >= stay {
			return again, false
		}
		timer.Reset(min(again, stay))
		select {
		case <-l.feed.ready:
		case <-timer.C:
		case <-gone:
			return 0, true
		}
	}
}

// write writes what the client may get now. It returns when it wants to be called again even if
// there is nothing to write, and whether nothing follows.
func (l *Link) write(batch *Batch, now time.Time) (again time.Duration, over bool) {
	h := l.hub
	s := l.session.Load()
	s.renewICE(now)
	l.fill(batch, now)
	batch.bufs = h.scratch.Get().(*[]byte)
	again, err := l.carrier.Write(batch)
	h.scratch.Put(batch.bufs)
	if err == nil || err == ErrEnough {
		h.stats.framesOut.Add(batch.count)
		h.stats.bytesOut.Add(batch.bytes)
		if batch.count > 0 {
			batch.from.written(l.feed)
			batch.done()
		}
	}
	// Its client can't be told any more: a frame was cut.
	if err != nil && isTimeout(err) && !batch.Over {
		s.tooSlow(l.feed)
	}
	if batch.Over || err != nil {
		batch.empty()
		return 0, true
	}
	batch.empty()
	return s.untilICE(now, again), false
}

// fill takes what the client may get now.
func (l *Link) fill(b *Batch, now time.Time) {
	b.items, b.from, b.Over = l.feed.take(b.items)
	b.Now, b.Deadline, b.Code = now, now.Add(l.hub.limits.Write), l.feed.code
	if b.Over {
		b.Deadline = now.Add(l.hub.limits.Linger)
	}
	b.Written, b.Urgent = b.from.progress()
	b.count, b.bytes = 0, 0
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
