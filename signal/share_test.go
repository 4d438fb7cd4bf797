package signal_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/signal"
)

// slowly is the reading of a client that takes so many bytes a second, until the connection ends.
// It tells of each frame.
func (c *peerConn) slowly(rate int, each func(frame)) {
	for {
		c.ws.SetReadDeadline(time.Now().Add(patience))
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			return
		}
		var f frame
		if json.Unmarshal(text, &f) == nil {
			each(f)
		}
		time.Sleep(time.Duration(float64(len(text)) / float64(rate) * float64(time.Second)))
	}
}

// answered sends something, and returns whether it was taken: if not, because it was too much.
func (c *peerConn) answered(kind string, fields frame) bool {
	c.t.Helper()
	fields["id"] = "1"
	c.send(kind, fields)
	f := c.next()
	for ; f["type"] != "ack" && f["type"] != "error"; f = c.next() {
	}
	if f["type"] == "error" && f["code"] != string(signal.CodeRateLimited) {
		c.t.Fatalf("got %v", f)
	}
	return f["type"] == "ack"
}

// A caller whom nobody knows says 3.8 MB to somebody who reads 100 KB a second. That is answered to
// the caller, and costs the other neither the session nor what friends say.
func TestSenderPays(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]signal.Options{
		"resumable": {Calls: true, Resume: time.Minute}, "not resumable": {Calls: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startNarrow(t, little, opts)
			alice := b.dialNarrow(t, little)
			alice.send("hello", frame{"user": "alice"})
			alice.id = alice.expect("welcome").text("peerId")
			alice.send("join", frame{"room": "tea"})
			alice.expect("joined")
			friend, eve := b.join(t, "tea", "Friend"), b.hello(t, nil)

			var mu sync.Mutex
			got := map[string]int{}
			var reading sync.WaitGroup
			reading.Go(func() {
				alice.slowly(100_000, func(f frame) {
					mu.Lock()
					defer mu.Unlock()
					got[f.text("from")]++
				})
			})
			taken, began := 0, time.Now()
			for range 64 {
				if eve.answered("signal", frame{"to": "@alice", "data": strings.Repeat("x", 60<<10)}) {
					taken++
				}
			}
			if most := 10 + int(2*time.Since(began).Seconds()); taken < 1 || taken > most { // she reads on
				t.Errorf("%d of 64 were taken, want %d at most", taken, most)
			}
			for range 3 {
				if !friend.answered("signal", frame{"to": alice.id, "data": "x"}) {
					t.Error("a friend has no room")
				}
			}
			eventually(t, "all that was taken arrives", func() bool {
				mu.Lock()
				defer mu.Unlock()
				return got[eve.id] == taken && got[friend.id] == 3
			})
			if s := b.Find(alice.id); s == nil || s.Closed() {
				t.Error("the session is over")
			}
			if n := b.Snapshot().Refusals[signal.CodeSlow]; n != 0 {
				t.Errorf("%d were slow", n)
			}
			alice.rawConn().Close()
			reading.Wait()
		})
	}
}

// A call that has been answered is no longer a stranger's, and many strangers have no more room
// than some.
func TestStrangersHaveLittleRoom(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true, Resume: time.Minute})
	alice := b.hello(t, frame{"user": "alice"})
	known := b.hello(t, frame{"user": "known"})
	known.send("signal", frame{"to": "@alice", "data": 1})
	alice.expect("signal")
	alice.send("signal", frame{"to": known.id, "data": 1})
	known.expect("signal")
	alice.rawConn().Close() // what is said waits
	b.away(t, alice.id)

	strangers := 0
	for range 12 {
		c := b.hello(t, nil)
		for c.answered("signal", frame{"to": "@alice", "data": strings.Repeat("x", 7<<10)}) {
			strangers++
		}
	}
	if strangers < 2 || strangers > 9 { // 64 KiB
		t.Errorf("strangers have said %d times 7 KiB", strangers)
	}
	friendly := 0
	for known.answered("signal", frame{"to": alice.id, "data": strings.Repeat("x", 7<<10)}) {
		friendly++
	}
	if friendly < 30 || friendly > 37 { // 256 KiB
		t.Errorf("one whom she has answered has said %d times 7 KiB", friendly)
	}
	if s := b.Find(alice.id); s == nil || s.Closed() {
		t.Error("the session is over")
	}
}

// An app sends a whiteboard of 3 MB to a room as fast as it is let. It goes as slowly as the
// slowest reads, all of it arrives at each, in order, and nobody is ended.
func TestWhiteboardSlowsItsSender(t *testing.T) {
	t.Parallel()
	const pieces = 50
	b := startNarrow(t, little, signal.Options{Resume: time.Minute})
	full := make(chan struct{}) // the slower one reads nothing until the app has been refused
	var reading sync.WaitGroup
	defer reading.Wait()
	for _, rate := range []int{1_500_000, 100_000_000} {
		reader := b.dialNarrow(t, little)
		reader.send("hello", nil)
		reader.expect("welcome")
		reader.send("join", frame{"room": "tea"})
		reader.expect("joined")
		reading.Go(func() {
			if rate < 10_000_000 {
				<-full
			}
			n := 0
			reader.slowly(rate, func(f frame) {
				if f["type"] != "broadcast" {
					return
				}
				if piece, _ := f["data"].(map[string]any); piece["n"] != float64(n) {
					t.Errorf("piece %d is %v", n, piece["n"])
				}
				if n++; n == pieces {
					reader.rawConn().Close()
				}
			})
			if n != pieces {
				t.Errorf("at %d bytes a second, %d of %d pieces have arrived", rate, n, pieces)
			}
		})
	}
	app, refused := b.join(t, "tea", "App"), 0
	for n := range pieces {
		piece := frame{"n": n, "of": strings.Repeat("x", 60<<10)}
		for !app.answered("broadcast", frame{"room": "tea", "data": piece}) {
			if refused++; refused == 1 {
				close(full)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if refused == 0 {
		t.Error("nothing slowed the app")
		close(full)
	}
	if n := b.Snapshot().Refusals[signal.CodeSlow]; n != 0 {
		t.Errorf("%d were slow", n)
	}
}
