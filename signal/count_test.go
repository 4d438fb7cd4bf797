package signal_test

import (
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// Both carriers count the same: the bytes of frames, without what carries them.
func TestCarriersCountAlike(t *testing.T) {
	t.Parallel()
	frames := []frame{
		{"type": "hello", "name": "Alice", "id": "1"}, {"type": "join", "room": "tea"},
		{"type": "ping", "id": "2"}, {"type": "leave", "room": "coffee"}, {"type": "ice"},
	}
	const answers = 7
	var out [2]uint64
	for i, over := range []string{"WebSocket", "server-sent events"} {
		b := start(t, signal.Options{ICE: scriptedICE{}})
		var read uint64
		if i == 0 {
			c := b.dial(t)
			for _, f := range frames {
				c.send(f.text("type"), f)
			}
			for range answers {
				_, text, err := c.ws.ReadMessage()
				if err != nil {
					t.Fatal(err)
				}
				read += uint64(len(text))
			}
		} else {
			c := b.events(t, nil)
			c.post(0, frames...)
			for range answers {
				_, _, data := c.event()
				read += uint64(len(data))
			}
		}
		eventually(t, "all is counted over "+over, func() bool { return b.Snapshot().Counters.FramesOut == answers })
		out[i] = b.Snapshot().Counters.BytesOut
		if out[i] != read {
			t.Errorf("%d bytes counted over %s, %d read", out[i], over, read)
		}
	}
	if out[0] != out[1] {
		t.Errorf("%d bytes over WebSocket, %d over server-sent events", out[0], out[1])
	}
}

// What the network doesn't take isn't counted.
func TestOnlyWhatLeavesCounts(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	m := carry(t, b.Hub, newLines())
	m.say("hello Bob")
	m.expect("welcome Bob")
	eventually(t, "it is counted", func() bool { return b.Snapshot().Counters.FramesOut == 1 })
	m.fail.Store(true)
	m.say("join " + strings.Repeat("x", 100))
	select {
	case <-m.pumped:
	case <-time.After(patience):
		t.Fatal("the connection goes on")
	}
	if n := b.Snapshot().Counters; n.FramesOut != 1 || n.BytesOut != uint64(len("welcome Bob")) {
		t.Errorf("%d frames, %d bytes", n.FramesOut, n.BytesOut)
	}
}
