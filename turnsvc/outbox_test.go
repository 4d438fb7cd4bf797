package turnsvc

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

func newOutbox() *outbox {
	o := new(outbox)
	o.init(mediaAge)
	return o
}

// pass lets time pass for an outbox.
func (o *outbox) pass(d time.Duration) { o.began = o.began.Add(-d) }

func TestOutboxDropsTheOldestMediaFirst(t *testing.T) {
	o := newOutbox()
	frame := func(b byte) []byte { return bytes.Repeat([]byte{b}, 1000) }
	o.addMedia(frame('a'))
	o.pass(mediaAge / 2)
	o.addMedia(frame('b'))
	if !o.addAnswer([]byte("answer"), maxAnswers) {
		t.Fatal("there is no room for an answer")
	}
	o.pass(mediaAge/2 + time.Millisecond)
	frames, late, slow := o.take(nil)
	if want := append([]byte("answer"), frame('b')...); !bytes.Equal(frames, want) || late != 1 || !slow {
		t.Errorf("%d bytes that begin with %.10q are written, %d were too late", len(frames), frames, late)
	}

	// In bytes, too: the newest stay.
	dropped := 0
	for i := range 200 {
		dropped += o.addMedia(frame(byte(i)))
	}
	if want := 200 - maxMedia/(1000+perFrame); dropped != want {
		t.Errorf("%d are dropped, want %d", dropped, want)
	}
	var all []byte
	for len(o.waiting) > 0 {
		frames, _, _ := o.take(nil)
		if len(frames) > batch {
			t.Fatalf("%d bytes are written at once", len(frames))
		}
		all = append(all, frames...)
	}
	if all[len(all)-1] != 199 || len(all)/1000 != 200-dropped {
		t.Errorf("%d frames come out, the last is %d", len(all)/1000, all[len(all)-1])
	}
	for i := 1000; i < len(all); i += 1000 {
		if all[i] != all[i-1]+1 {
			t.Fatalf("frame %d comes after %d", all[i], all[i-1])
		}
	}
}

// Answers are never dropped for media, and of answers there are only so many.
func TestOutboxIsBounded(t *testing.T) {
	o := newOutbox()
	for range 100_000 {
		o.addMedia(make([]byte, 4))
	}
	for range 2000 {
		o.addMedia(make([]byte, 40_000))
	}
	n := 0
	for o.addAnswer(make([]byte, 100), maxAnswers) {
		n++
	}
	if n != maxAnswers/100 {
		t.Errorf("%d answers wait", n)
	}
	if held := cap(o.media) + cap(o.answers) + 16*cap(o.waiting); held > 96<<10 {
		t.Errorf("%d KiB are held for one client", held>>10)
	}
	frames, _, _ := o.take(nil)
	if len(frames) != n*100 {
		t.Errorf("%d bytes come first, want the answers", len(frames))
	}
}

// The longest frame passes, alone.
func TestOutboxTakesTheLongestFrame(t *testing.T) {
	o := newOutbox()
	o.addMedia(make([]byte, 1000))
	if n := o.addMedia(make([]byte, 0xFFFF)); n != 1 {
		t.Errorf("%d frames make room for it", n)
	}
	frames, late, slow := o.take(make([]byte, 0, batch))
	if len(frames) != 0xFFFF || late != 0 || !slow || cap(o.media) != 0 {
		t.Errorf("%d bytes are written, %d kept", len(frames), cap(o.media))
	}
}

func TestOutboxDoesNotKeepABurst(t *testing.T) {
	o := newOutbox()
	for range 40 {
		o.addMedia(make([]byte, 1000))
	}
	for o.first < len(o.waiting) {
		o.take(nil)
	}
	if cap(o.media) > 2*streamBuffer {
		t.Errorf("%d bytes are kept", cap(o.media))
	}
}

// A run is queued as its packets would be, one after the other, and leaves as much of its buffer as
// it was.
func TestRunsInAnOutbox(t *testing.T) {
	t.Parallel()
	for _, padded := range []bool{false, true} {
		together, single := newOutbox(), newOutbox()
		a, b := new(wire.Buffer), new(wire.Buffer)
		rand.Read(a[:]) //nolint:errcheck // it never fails
		*b = *a
		var all, each wire.Run
		for off, sizes := wire.Headroom, []int{303, 303, 303, 17}; len(sizes) > 0; sizes = sizes[1:] {
			all = append(all, wire.Datagram{Packet: wire.Packet{Buf: a[:], Off: off, N: sizes[0]}})
			each = append(each, wire.Datagram{Packet: wire.Packet{Buf: b[:], Off: off, N: sizes[0]}})
			off += sizes[0]
		}
		const number = 0x4001
		padding := 0
		for i := range each {
			behind := each[i].Behind()
			frame := wire.FrameChannelData(each[i].Packet, number, padded)
			padding += len(frame) - each[i].N - wire.ChannelHeader
			single.addMedia(frame)
			each[i].PutBehind(behind)
		}
		if n := together.addRun(all, number, padded); n != 0 {
			t.Errorf("%d are dropped", n)
		}
		got, _, _ := together.take(nil)
		want, _, _ := single.take(nil)
		if !bytes.Equal(got, want) || *a != *b {
			t.Errorf("padded %v: % x, want % x", padded, got, want)
		}
		if padded && all.Padding() != padding {
			t.Errorf("%d bytes of padding, want %d", all.Padding(), padding)
		}
	}
}
