package turnsvc

import (
	"time"

	"signalbox/turnsvc/internal/socket"
)

// What a slow client has in the kernel is late, too, by all that was written before it and is not
// acknowledged. So the kernel holds no more for it than fits its path. How long a path is can't be
// seen while much is on it: the time there and back is also that of what waits there. So now and
// then a slow client's path is taken for as short as it ever was, and little is kept on it. If the
// time there and back stays long, it is the path's.
const (
	fitInterval = 500 * time.Millisecond // between two looks, at least
	fitAgain    = 10 * time.Second       // between two tries whether the path is short
	// fitTime is for what may wait on the path, besides what the path itself takes twice: what is
	// lost is held until it has come there and back once more.
	fitTime = 150 * time.Millisecond
	// leastRoom is less than clientRoom, in bytes with the kernel's bookkeeping.
	leastRoom = 24 << 10
)

// fit is how what the kernel may hold for one client is made to fit. Its stream's writer owns it.
type fit struct {
	since time.Time     // when it began to look
	acked uint64        // by then
	slow  bool          // some of its data came too late to be written, since then
	rate  float64       // bytes a second that the path carries
	rtt   time.Duration // there and back, when nothing waits; as far as is known
	tried time.Time     // when the path was last taken for short
	was   time.Duration // there and back, before that; 0: it has shown whether it is
	fits  int           // 0: as much as clientRoom
}

// room is what the kernel may hold, in bytes with its bookkeeping.
func (f *fit) room() int {
	if f.fits == 0 {
		return clientRoom
	}
	return f.fits
}

// wrote is called after each write, and told whether the client was too slow for some data.
func (f *fit) wrote(s *socket.Sending, slow bool) {
	now := time.Now()
	f.slow = f.slow || slow
	passed := now.Sub(f.since)
	if passed < fitInterval {
		return
	}
	path, ok := s.Path()
	if !ok || passed < 2*path.RTT && passed < 4*fitInterval {
		return
	}
	if !path.Stalled { // else nothing of this says what the path carries
		f.look(path, now, passed)
	}
	f.since, f.acked, f.slow = now, path.Acked, false
}

// look fits the room to the path.
func (f *fit) look(path socket.Path, now time.Time, passed time.Duration) {
	if f.was == 0 {
		f.rate *= 0.9 // it may have become less; but if little was kept there, that says nothing
	}
	f.rate = max(f.rate, float64(path.Acked-f.acked)/passed.Seconds())
	if f.was > 0 {
		if path.RTT > (f.was+f.onPath())/2 { // little waits there now, and yet it has hardly fallen
			f.rtt = path.RTT
		}
		f.was = 0
	}
	if !f.slow {
		f.fits = 0
		return
	}
	if now.Sub(f.tried) >= fitAgain {
		f.rtt, f.tried, f.was = path.MinRTT, now, path.RTT
	}
	// The kernel counts some 1.2 bytes for each, and is not filled to the brim.
	f.fits = min(max(int(1.35*f.rate*f.onPath().Seconds()), leastRoom), clientRoom)
}

// onPath is how much is to be on the path, in the time that the path takes for it.
func (f *fit) onPath() time.Duration { return 2*f.rtt + fitTime }
