package signal

import (
	"errors"
	"net"
	"runtime/debug"
	"time"
)

// Pump writes the session's frames, and fresh ICE servers, until the connection is over or fails,
// or gone is closed (a nil gone never is). It is the only writer of the connection.
func (l *Link) Pump(gone <-chan struct{}) {
	h := l.hub
	defer func() {
		if p := recover(); p != nil { // of a dialect, or of the carrier
			l.Session().Stop(CodeInternal)
			h.log.Error("panic while writing", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var batch Batch
	for {
		select {
		case <-l.feed.ready:
		case <-timer.C:
		case <-gone:
			return
		}
		now := time.Now()
		s := l.session.Load()
		s.renewICE(now)
		l.fill(&batch, now)
		batch.bufs = h.scratch.Get().(*[]byte)
		again, err := l.carrier.Write(&batch)
		h.scratch.Put(batch.bufs)
		if err == nil {
			h.stats.framesOut.Add(batch.count)
			h.stats.bytesOut.Add(batch.bytes)
		}
		if isTimeout(err) && !batch.Over { // its client can't be told any more: a frame was cut
			s.tooSlow(l.feed)
		}
		if batch.Over || err != nil {
			return
		}
		batch.empty()
		timer.Reset(s.untilICE(now, again))
	}
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
