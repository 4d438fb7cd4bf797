package turnsvc

import (
	"time"

	"signalbox/turnsvc/internal/socket"
)

// What a slow client has in the kernel is late, too, by all that was written before it and is not
// acknowledged. So the kernel holds no more for it than fits its path, as far as that is known.
const (
	fitInterval = 500 * time.Millisecond // between two looks
	// fitTime is for what its path carries in the shortest time there and back and in that much
	// more.
	fitTime = 150 * time.Millisecond
	// leastRoom is less than clientRoom, in bytes with the kernel's bookkeeping.
	leastRoom = 24 << 10
)

// fit is how what the kernel may hold for one client is made to fit. Its stream's writer owns it.
type fit struct {
	since time.Time // when it began to count
	bytes int       // that were written since
	slow  bool      // some of its data came too late to be written
	room  int       // 0: as at first
}

// wrote takes in what was written, and whether the client was too slow for more.
func (f *fit) wrote(s *socket.Sending, n int, slow bool) {
	now := time.Now()
	f.bytes += n
	f.slow = f.slow || slow
	passed := now.Sub(f.since)
	if passed < fitInterval {
		return
	}
	room := clientRoom
	if f.slow {
		carried := float64(f.bytes) * float64(s.MinRTT()+fitTime) / float64(passed)
		room = min(max(int(1.5*carried), leastRoom), clientRoom) // the kernel is not filled to the brim
	}
	if was := f.room; room != was && (f.slow || was != 0) {
		f.room = room
		s.Bound(room)
	}
	f.since, f.bytes, f.slow = now, 0, false
}
