package turnsvc

import (
	"sync"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// What may wait for a client on a stream. With clientRoom in the kernel, and with what is being
// written, it is less than 256 KiB.
const (
	maxMedia    = 48 << 10 // bytes of application data
	mediaAge    = 200 * time.Millisecond
	perFrame    = 32      // bytes that each frame of it counts for besides its own
	maxAnswers  = 8 << 10 // bytes of answers
	strangerAsk = 2 << 10 // bytes of answers to a client without an allocation
	// batch is how much application data is written at once: what is being written can't be dropped
	// any more.
	batch = 8 << 10
	// closely behind each other comes what is rather written together, as soon as the writer's
	// turn has come: on a busy machine that is a little later.
	closely = 2 * time.Millisecond
)

// outbox holds what waits for the client of one stream. Answers go first, and are never dropped.
// Application data is dropped when it has waited for too long, the oldest first: what comes late is
// of no use to a call, and delays all that comes after it.
type outbox struct {
	mu      sync.Mutex
	wake    sync.Cond
	answers []byte
	media   []byte    // frames, from mediaAt on
	mediaAt int       // what is before it has been taken
	waiting []waiting // the frames of media, from first on
	first   int
	dropped bool   // some of it, since the last take
	cut     []byte // the rest of a frame of which some is written: it goes first
	// Who writes now: the goroutine that takes, or somebody past it; and when somebody last wanted
	// that, after the outbox began; 0: never.
	writing, past bool
	wantedAt      time.Duration
	ended         bool
	began         time.Time
	age           time.Duration // at which application data is dropped
}

// waiting is a frame of the media of an outbox.
type waiting struct {
	size  int
	since time.Duration // after the outbox began
}

func (o *outbox) init(age time.Duration) {
	o.wake.L = &o.mu
	o.began, o.age = time.Now(), age
}

// addMedia queues a frame and reports how many were dropped for it.
func (o *outbox) addMedia(frame []byte) (dropped int) {
	now := time.Since(o.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake.Signal()
	return o.add(frame, now)
}

// begin reports whether its caller may write to the connection itself, past the queue and whoever
// takes from it: nothing waits there and nothing is being written. It must call finish then. What
// comes closely behind is left to who takes, and written together.
func (o *outbox) begin() bool {
	now := time.Since(o.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.wantedAt
	o.wantedAt = now
	if o.ended || o.writing || o.past || o.waits() || before != 0 && now-before < closely {
		return false
	}
	o.past = true
	return true
}

// waits reports whether there is something to write. mu is held.
func (o *outbox) waits() bool { return len(o.answers)+len(o.cut) > 0 || o.first < len(o.waiting) }

// finish follows begin: of the frames, n bytes are written, and it queues the rest. It reports how
// many frames were dropped for them.
func (o *outbox) finish(frames []byte, n int) (dropped int) {
	now := time.Since(o.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.past = false
	for len(frames) > 0 {
		_, size, _ := wire.FrameSize(frames, true)
		if size == 0 || size > len(frames) {
			size = len(frames)
		}
		switch {
		case n >= size:
			n -= size
		case n > 0:
			o.cut, n = append(o.cut[:0], frames[n:size]...), 0
		default:
			dropped += o.add(frames[:size], now)
		}
		frames = frames[size:]
	}
	if o.waits() {
		o.wake.Signal()
	}
	return dropped
}

// addRun queues the packets of a run as ChannelData and reports how many frames were dropped for
// them.
func (o *outbox) addRun(run wire.Run, number uint16, padded bool) (dropped int) {
	now := time.Since(o.began)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wake.Signal()
	for i := range run {
		behind := run[i].Behind()
		dropped += o.add(wire.FrameChannelData(run[i].Packet, number, padded), now)
		run[i].PutBehind(behind) // the next packet may follow there
	}
	return dropped
}

// add queues a frame. mu is held.
func (o *outbox) add(frame []byte, now time.Duration) (dropped int) {
	if o.ended {
		return 0
	}
	dropped = o.dropLate(now)
	need := len(frame) + perFrame // more than there may be, in all, if it is alone
	for o.first < len(o.waiting) && len(o.media)-o.mediaAt+perFrame*(len(o.waiting)-o.first)+need > maxMedia {
		o.dropFirst()
		dropped++
		o.dropped = true
	}
	o.room(len(frame))
	o.media = append(o.media, frame...)
	if o.first > 0 && len(o.waiting) == cap(o.waiting) {
		o.waiting, o.first = o.waiting[:copy(o.waiting, o.waiting[o.first:])], 0
	}
	o.waiting = append(o.waiting, waiting{len(frame), now})
	return dropped
}

// room makes room for n more bytes of media, and no more of it than needed. mu is held.
func (o *outbox) room(n int) {
	if len(o.media)+n <= cap(o.media) {
		return
	}
	to, held := o.media[:0], len(o.media)-o.mediaAt
	if held+n > cap(o.media) {
		to = make([]byte, 0, max(min(2*cap(o.media), maxMedia), held+n, streamBuffer))
	}
	o.media, o.mediaAt = append(to, o.media[o.mediaAt:]...), 0
}

// dropFirst takes out the oldest frame. mu is held, and there is one.
func (o *outbox) dropFirst() (frame []byte) {
	size := o.waiting[o.first].size
	frame = o.media[o.mediaAt : o.mediaAt+size]
	o.mediaAt += size
	o.first++
	if o.first == len(o.waiting) {
		o.media, o.mediaAt, o.waiting, o.first = o.media[:0], 0, o.waiting[:0], 0
	}
	return frame
}

// dropLate drops what has waited for too long and returns how many frames that were. mu is held.
func (o *outbox) dropLate(now time.Duration) (n int) {
	for o.first < len(o.waiting) && now-o.waiting[o.first].since > o.age {
		o.dropFirst()
		n++
	}
	o.dropped = o.dropped || n > 0
	return n
}

// addAnswer queues an answer, and reports whether there is room for it: of those that the client
// has not taken there may be so many bytes.
func (o *outbox) addAnswer(frame []byte, limit int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.answers)+len(frame) > limit {
		return o.ended
	}
	o.answers = append(o.answers, frame...)
	o.wake.Signal()
	return true
}

// await waits for something to write, and reports whether there is: not once the outbox has ended.
// Nobody else writes until it is called again.
func (o *outbox) await() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	for (o.past || !o.waits()) && !o.ended {
		o.wake.Wait()
	}
	o.writing = !o.ended
	return o.writing
}

// take returns in buf what to write now, whole frames, perhaps none; how many others were too late
// for it; and whether any were since the last time.
func (o *outbox) take(buf []byte) (frames []byte, late int, slow bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	frames = append(append(buf[:0], o.cut...), o.answers...)
	o.cut, o.answers = nil, o.answers[:0]
	late = o.dropLate(time.Since(o.began))
	if len(frames) == 0 && o.first == len(o.waiting)-1 && o.waiting[o.first].size > batch {
		frames, o.media = o.dropFirst(), nil // nothing that long is held twice
	}
	for o.first < len(o.waiting) && (len(frames) == 0 || len(frames)+o.waiting[o.first].size <= batch) {
		frames = append(frames, o.dropFirst()...)
	}
	if o.first == len(o.waiting) && cap(o.media) > 2*streamBuffer {
		// A burst's room is not kept for life.
		o.media, o.mediaAt, o.waiting, o.first = nil, 0, nil, 0
	}
	slow, o.dropped = o.dropped, false
	return frames, late, slow
}

// unread is how many bytes of answers wait.
func (o *outbox) unread() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.answers)
}

// end makes await return.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.wake.Signal()
}

func (o *outbox) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}
