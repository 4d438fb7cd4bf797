package turnsvc

import (
	"errors"
	"net/netip"

	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// clientRoom and strangerRoom are what the kernel may hold for a client with an allocation, and for
// one without, in bytes with its bookkeeping; unsentRoom is what of that is not yet on its way when
// more is written.
const clientRoom, strangerRoom, unsentRoom = 112 << 10, 8 << 10, 4 << 10

// data queues application data. A client that reads too slowly loses its own, the oldest first, and
// nobody waits for it.
func (l *streamLink) data(frame []byte, _ netip.AddrPort) bool {
	if len(frame) > dtls.MaxRecord && l.name == "dtls" {
		l.streams.counters.drop(dropWriteFailed)
		return false
	}
	if l.goesStraight(len(frame)) {
		l.straight(frame)
	} else {
		l.tooSlow(l.out.addMedia(frame))
	}
	return true
}

// run queues what a run brings at once; who writes joins the frames.
func (l *streamLink) run(run wire.Run, number uint16, _ netip.AddrPort, _ *socket.RunLimit) (
	packets, bytes int, ok bool,
) {
	if l.name == "dtls" || run.Bytes() > maxMedia/2 {
		// A record may be too long; and who writes may take some before all are there.
		return 0, 0, false
	}
	if l.goesStraight(run.Bytes()) {
		frames := l.streams.runs.Get().(*[]byte)
		*frames = joined((*frames)[:0], run, number, l.padded())
		l.straight(*frames)
		l.streams.runs.Put(frames)
	} else {
		l.tooSlow(l.out.addRun(run, number, l.padded()))
	}
	return len(run), run.Bytes(), true
}

// answer queues an answer. One that is too many ends the stream.
func (l *streamLink) answer(frame []byte, _ netip.AddrPort) {
	if !l.out.addAnswer(frame, l.mostAnswers()) {
		l.streams.counters.drop(dropUnread)
		l.close()
	}
}

// mostAnswers is how many bytes of answers may wait for the client.
func (l *streamLink) mostAnswers() int {
	if l.a.Load() == nil {
		return strangerAsk
	}
	return maxAnswers
}

func (l *streamLink) send(frame []byte, to netip.AddrPort) { l.answer(frame, to) }

func (l *streamLink) tooSlow(frames int) {
	if frames > 0 {
		l.streams.counters.drops[dropSlowClient].Add(uint64(frames))
	}
}

// write moves queued frames to the connection until that is closed or fails.
func (l *streamLink) write() {
	var buf []byte
	for {
		if !l.out.await() || l.carrier.SetWriteDeadline(deadlineIn(l.streams.timeouts.write)) != nil {
			return
		}
		l.bound()
		// What waits here can still be dropped, what the kernel has can't.
		if l.unasked >= unsentRoom {
			if l.sending.Wait() != nil {
				return
			}
			l.unasked = 0
		}
		frames, late, slow := l.out.take(buf)
		l.tooSlow(late)
		if l.writeFrames(frames) != nil {
			return
		}
		l.unasked += len(frames)
		l.fit.wrote(&l.sending, slow)
		if buf = frames; cap(buf) > 2*batch {
			buf = nil // a long frame's buffer is not kept for the connection's life
		}
	}
}

// bound sets what the kernel may hold of what is written next.
func (l *streamLink) bound() {
	if room := l.room(); room != l.bounded {
		l.sending.Bound(room)
		l.bounded = room
	}
}

// room is what the kernel may hold.
func (l *streamLink) room() int {
	if l.a.Load() == nil {
		return strangerRoom
	}
	return l.fit.room()
}

// writeFrames writes whole frames: on TCP all at once; on DTLS and TLS one per record, since some
// clients take a record for a frame (coturn's turnutils_uclient). The records of TLS leave at once.
func (l *streamLink) writeFrames(frames []byte) (err error) {
	if l.name == "tls" && l.gather != nil {
		l.gather.Gather()
		defer func() { err = errors.Join(err, l.gather.Flush()) }()
	}
	for len(frames) > 0 {
		size := len(frames)
		switch l.name {
		case "tls":
			_, size, _ = wire.FrameSize(frames, true)
		case "dtls":
			size, _, _ = wire.FrameSize(frames, true) // nothing is padded there
		}
		if _, err := l.carrier.Write(frames[:size]); err != nil {
			return err
		}
		frames = frames[size:]
	}
	return nil
}
