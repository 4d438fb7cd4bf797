package turnsvc

import "signalbox/turnsvc/internal/wire"

// Data that comes while nothing waits for its client is written by who brings it, the reader of a
// relay socket: that spares a wake-up, and for a run some system calls. It waits for nothing there:
// what the kernel doesn't take at once is left to the stream's writer, as is all that a record goes
// around, since TLS may wait.

// goesStraight reports whether so many bytes of data may be written past the writer: straight must
// follow.
func (l *streamLink) goesStraight(size int) bool {
	return l.name == "tcp" && size <= 2*batch && l.out.begin()
}

// straight writes whole frames as far as the kernel takes them at once, and queues the rest.
func (l *streamLink) straight(frames []byte) {
	n := 0
	if l.room() == l.bounded { // else the writer sees to that first
		asks := l.unasked >= unsentRoom
		if n = l.sending.Try(frames, asks); n > 0 {
			if asks {
				l.unasked = 0
			}
			l.unasked += n
			l.fit.wrote(&l.sending, false)
		}
	}
	l.tooSlow(l.out.finish(frames, n))
}

// joined appends the frames of a run's packets.
func joined(to []byte, run wire.Run, number uint16, padded bool) []byte {
	for i := range run {
		behind := run[i].Behind()
		to = append(to, wire.FrameChannelData(run[i].Packet, number, padded)...)
		run[i].PutBehind(behind) // the next packet may follow there
	}
	return to
}
